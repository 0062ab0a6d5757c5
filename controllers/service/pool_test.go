package service

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
			known := fakeWith(t, network)
			claim, err := (&vips{lb: lb, client: known, live: known}).fromPool(t.Context(), claimed{name: "shop-vip-web"})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(claim.Spec.PoolRef).To(Equal(c.want))
			g.Expect(claim.Name).To(Equal("shop-vip-web"))
		})
	}
}

func TestAClaimIsNotMadeBeforeItIsKnownWhichPoolItsNetworkNames(t *testing.T) {
	theirs := ipamv1.IPPoolReference{APIGroup: "ipam.example.org", Kind: "OtherPool", Name: "theirs"}
	network := &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: "lan"}}
	network.Spec.Subnets = []capstanv1.Subnet{{VIPsFrom: &capstanv1.PoolReference{APIGroup: theirs.APIGroup, Kind: theirs.Kind, Name: theirs.Name}}}
	made := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-vip-web"}}
	made.Spec.PoolRef = theirs
	for name, c := range map[string]struct {
		cached, live []client.Object
		waits        bool
	}{
		"the network does not exist":                             {waits: true},
		"the cache does not show the network yet":                {live: []client.Object{network}},
		"the network has gone, and the claim was made before":    {cached: []client.Object{made}},
		"another claim of the load balancer does not tell of it": {cached: []client.Object{&ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-vip"}}}, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, lb := NewWithT(t), shop()
			lb.Spec.LogicalNetwork = "lan"
			claim, err := (&vips{lb: lb, client: fakeWith(t, c.cached...), live: fakeWith(t, c.live...)}).fromPool(t.Context(), claimed{name: made.Name})
			var waiting *waitingError
			if c.waits {
				g.Expect(errors.As(err, &waiting)).To(BeTrue())
				g.Expect(err).To(MatchError("waiting for LogicalNetwork lan, which does not exist"))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(claim.Spec.PoolRef).To(Equal(theirs))
		})
	}
}

func TestAServiceHasNoAddressOfAnotherProviderThatABuriedVMMayHold(t *testing.T) {
	buried := func(network, address string) *capstanv1.Tombstone {
		t := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: "tomb"}}
		t.Spec.Addresses = []capstanv1.ReservedAddress{{LogicalNetwork: network, Address: address}}
		return t
	}
	honoured := buried("lan", "192.0.2.7")
	honoured.Annotations = map[string]string{capstanv1.HonouredAnnotation: "true"}
	carried := func(service string) []capstanv1.LoadBalancerService {
		return []capstanv1.LoadBalancerService{{Name: service, VIP: "192.0.2.7"}}
	}
	for name, c := range map[string]struct {
		tombstone *capstanv1.Tombstone
		services  []capstanv1.LoadBalancerService
		waits     bool
	}{
		"it waits for the Tombstone to go":                     {tombstone: buried("lan", "192.0.2.7"), waits: true},
		"it has the address once the Tombstone is honoured":    {tombstone: honoured},
		"another address does not matter":                      {tombstone: buried("lan", "192.0.2.8")},
		"another network does not matter":                      {tombstone: buried("dmz", "192.0.2.7")},
		"it keeps what its load balancer carries for it":       {tombstone: buried("lan", "192.0.2.7"), services: carried("default/web")},
		"it shares what its load balancer carries for another": {tombstone: buried("lan", "192.0.2.7"), services: carried("default/other")},
	} {
		t.Run(name, func(t *testing.T) {
			g, lb := NewWithT(t), shop()
			lb.Spec.LogicalNetwork, lb.Spec.Services = "lan", c.services
			v := &vips{lb: lb, book: newBook(lb), live: fakeWith(t, c.tombstone)}
			claim := &ipamv1.IPAddressClaim{}
			claim.Spec.PoolRef = ipamv1.IPPoolReference{APIGroup: "ipam.example.org", Kind: "OtherPool", Name: "theirs"}
			a := ask{}
			a.entry.Name = "default/web"
			err := v.isFitting(t.Context(), a, claim, "192.0.2.7", nil)
			var waiting *waitingError
			if c.waits {
				g.Expect(errors.As(err, &waiting)).To(BeTrue())
				g.Expect(err).To(MatchError("waiting for Tombstone tomb to go: OtherPool theirs gave out 192.0.2.7, which a VM may still use that cannot be reached"))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
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
