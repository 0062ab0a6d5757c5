package service

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestClaimsNameThePoolOfTheirNetwork(t *testing.T) {
	own := ipamv1.IPPoolReference{APIGroup: "capstan.dev", Kind: "LogicalNetwork", Name: "lan"}
	for name, c := range map[string]struct {
		from *capstanv1.PoolReference
		want ipamv1.IPPoolReference
	}{
		"which is the network":             {nil, own},
		"which may be of another provider": {&capstanv1.PoolReference{APIGroup: "ipam.example.org", Kind: "OtherPool", Name: "theirs"}, ipamv1.IPPoolReference{APIGroup: "ipam.example.org", Kind: "OtherPool", Name: "theirs"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			network := &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: "lan"}}
			network.Spec.Subnets = []capstanv1.Subnet{{VIPsFrom: c.from}}
			lb := shop()
			lb.Spec.LogicalNetwork = "lan"
			claim, err := (&vips{lb: lb, client: fakeWith(t, network)}).fromPool(t.Context(), claimed{name: "shop-vip-web"})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(claim.Spec.PoolRef).To(Equal(c.want))
			g.Expect(claim.Name).To(Equal("shop-vip-web"))
		})
	}
}

func TestAnotherProviderCannotBeAskedForACertainAddress(t *testing.T) {
	claim := &ipamv1.IPAddressClaim{}
	claim.Spec.PoolRef = ipamv1.IPPoolReference{Kind: "OtherPool", Name: "theirs"}
	for name, c := range map[string]struct {
		asked, given string
		says         string
	}{
		"who asks for none has what it is given":   {asked: "", given: "192.0.2.7"},
		"who is given what it asks for has it":     {asked: "192.0.2.7", given: "192.0.2.7"},
		"who waits is told nothing yet":            {asked: "192.0.2.7", given: ""},
		"who asks for another is told that it was": {asked: "192.0.2.9", given: "192.0.2.7", says: "OtherPool theirs gave out 192.0.2.7 and cannot be asked for 192.0.2.9: ask for none"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := isAsGiven(ask{address: c.asked}, claim, c.given, nil)
			if c.says == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(c.says))
		})
	}
}
