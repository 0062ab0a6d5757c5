package loadbalancer

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

func TestALoadBalancerWhoseVMsSpeakByAVirtualRouterIDIsGivenNoOther(t *testing.T) {
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", UID: "uid-of-shop"}}
	lb.Spec.LogicalNetwork, lb.Status.VRID = "lan", 7
	other := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "other", UID: "uid-of-other"}}
	other.Spec.LogicalNetwork = "lan"
	claim := func(of *capstanv1.LoadBalancer, uid types.UID) *ipamv1.IPAddressClaim {
		claim := vipClaim(of)
		claim.UID = uid
		return claim
	}
	now := claim(lb, "now")
	for name, c := range map[string]struct {
		held *capstanv1.AddressReservation
		also client.Object
		// of is whose claim has the ID afterwards.
		of      types.UID
		refusal string
	}{
		"that it has":                              {held: vridReservation(lb, now, 7), of: "now"},
		"that an earlier claim of its had":         {held: vridReservation(lb, claim(lb, "earlier"), 7), of: "now"},
		"that nobody has any more":                 {of: "now"},
		"that a Tombstone of one of its VMs holds": {held: vridReservation(lb, claim(lb, "earlier"), 7), also: buried("lan", 7), of: "earlier"},
		"that somebody else was given by force": {
			held: vridReservation(other, claim(other, "theirs"), 7), of: "theirs",
			refusal: "virtual router ID 7 of LogicalNetwork lan, by which the virtual machines hold the VIP, is reserved for IPAddressClaim team/other-vip",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
			g.Expect(ipamv1.AddToScheme(scheme)).To(Succeed())
			index := func(obj client.Object) []string {
				return []string{obj.(*capstanv1.AddressReservation).Spec.ClaimRef.UID}
			}
			build := fake.NewClientBuilder().WithScheme(scheme).WithObjects(lb.DeepCopy(), now.DeepCopy()).WithIndex(&capstanv1.AddressReservation{}, claimIndex, index)
			if c.held != nil {
				build = build.WithObjects(c.held)
			}
			if c.also != nil {
				build = build.WithObjects(c.also)
			}
			store := build.Build()
			r := &Reconciler{Client: store, Live: store}
			for range 2 {
				id, err := r.vridOf(t.Context(), lb, now)
				g.Expect(id).To(Equal(int32(7)))
				if c.refusal == "" {
					g.Expect(err).NotTo(HaveOccurred())
				} else {
					g.Expect(err).To(And(BeAssignableToTypeOf(&contestedVRIDError{}), MatchError(HavePrefix(c.refusal))))
				}
			}
			all := &capstanv1.AddressReservationList{}
			g.Expect(store.List(t.Context(), all)).To(Succeed())
			g.Expect(all.Items).To(HaveLen(1), "another one would be reserved as well")
			g.Expect(all.Items[0].Spec.Address).To(Equal(addresspool.VirtualRouter(7)))
			g.Expect(all.Items[0].Spec.ClaimRef.UID).To(Equal(string(c.of)))
		})
	}
}

// buried holds a virtual router ID for a VM that may still run.
func buried(network string, id int32) *capstanv1.Tombstone {
	return &capstanv1.Tombstone{
		ObjectMeta: metav1.ObjectMeta{Name: "tomb"},
		Spec: capstanv1.TombstoneSpec{
			Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: network, Address: addresspool.VirtualRouter(id)}},
		},
	}
}

func TestAVirtualRouterIDThatSomebodyElseHasIsToldAndKept(t *testing.T) {
	g := NewWithT(t)
	s := &scope{lb: &capstanv1.LoadBalancer{}}
	s.vip = vip{address: netip.MustParsePrefix("192.0.2.10/24"), vrid: 7, contested: "somebody else has it"}
	setVIP(s)
	g.Expect(s.lb.Status.VRID).To(Equal(int32(7)))
	g.Expect(s.lb.Status.VIPs).To(Equal([]string{"192.0.2.10"}))
	g.Expect(s.lb.Status.Conditions).To(HaveExactElements(And(
		HaveField("Type", capstanv1.VIPAllocatedCondition), HaveField("Status", metav1.ConditionFalse),
		HaveField("Reason", capstanv1.ReasonAddressTaken), HaveField("Message", "192.0.2.10: somebody else has it"),
	)))
}
