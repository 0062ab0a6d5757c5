package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

func TestTheAddressOfAnEarlierClaimIsNotUsed(t *testing.T) {
	network := &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: "lan"}}
	vm := machine("a")
	claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: "a-0", UID: "claim",
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vm, capstanv1.GroupVersion.WithKind("VirtualMachine"))},
	}}
	claim.Spec.PoolRef = ipam.PoolOf(network, addresspool.Nodes)
	for name, test := range map[string]struct {
		of   *ipamv1.IPAddressClaim
		used bool
	}{
		"its own":          {claim, true},
		"an earlier one's": {&ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Name: "a-0", UID: "earlier"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := fakeClient(t, claim, &ipamv1.IPAddress{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "team", Name: "a-0",
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(test.of, ipamv1.GroupVersion.WithKind("IPAddressClaim"))},
				},
				Spec: ipamv1.IPAddressSpec{Address: "10.0.0.5"},
			})
			r, s := &Reconciler{Client: c, Live: c}, &scope{vm: vm}
			waiting, err := r.claimAddress(t.Context(), s, 0, network)
			g.Expect(err).NotTo(HaveOccurred())
			if test.used {
				g.Expect(waiting).To(BeNil())
				g.Expect(s.addressTexts()).To(ConsistOf("10.0.0.5"))
				return
			}
			g.Expect(waiting).NotTo(BeNil())
			g.Expect(waiting.reason).To(Equal(capstanv1.ReasonWaitingForAddress))
			g.Expect(s.addresses).To(BeEmpty())
		})
	}
}
