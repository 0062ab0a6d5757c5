package ipam

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// madeBy has a claim made by somebody.
func madeBy(kind, name string, uid types.UID) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) {
		c.OwnerReferences = []metav1.OwnerReference{{APIVersion: capstanv1.GroupVersion.String(), Kind: kind, Name: name, UID: uid, Controller: ptr.To(true)}}
	}
}

// ofID has a claim made for the VM of an ID.
func ofID(id string) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) { c.Labels = map[string]string{capstanv1.VMIDLabel: id} }
}

// ofVMAt is an address of the VM that is called vm.
func ofVMAt(address string) *capstanv1.AddressReservation {
	return left(address, "vm-0", ofVM().Spec.UserRef)
}

func TestWhoeverMakesItsClaimAgainHasItsAddressAgain(t *testing.T) {
	byVM := madeBy("VirtualMachine", "vm", "uid-of-vm")
	const its, first = "10.20.0.33", "10.20.0.10"
	held := func() *capstanv1.AddressReservation {
		return left(its, "vm-0", &capstanv1.UserReference{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm"})
	}
	for name, c := range map[string]struct {
		held  *capstanv1.AddressReservation
		claim *ipamv1.IPAddressClaim
		also  client.Object
		want  string
	}{
		"after its claim went by force":          {held: held(), claim: waiter("team", "vm-0", 1, byVM), want: its},
		"but not another VM of its name":         {held: held(), claim: waiter("team", "vm-0", 1, madeBy("VirtualMachine", "vm", "later")), want: first},
		"but not by a claim of another name":     {held: held(), claim: waiter("team", "vm-1", 1, byVM), want: first},
		"but not by a claim elsewhere":           {held: held(), claim: waiter("other", "vm-0", 1, byVM), want: first},
		"but not by a claim that nobody made":    {held: held(), claim: waiter("team", "vm-0", 1), want: first},
		"but not if nobody knows whom it is for": {held: left(its, "vm-0", nil), claim: waiter("team", "vm-0", 1, byVM), want: first},
		"but not if a Tombstone holds it":        {held: held(), claim: waiter("team", "vm-0", 1, byVM), also: tombstone(holding(its)), want: first},
		"but not if it asks for another one":     {held: held(), claim: waiter("team", "vm-0", 1, byVM, asksFor("10.20.0.40")), want: "10.20.0.40"},
		"but not if it is in no range any more":  {held: left("10.20.0.77", "vm-0", held().Spec.UserRef), claim: waiter("team", "vm-0", 1, byVM), want: first},
		"or was made again from a backup":        {held: ofVMAt(its), claim: waiter("team", "vm-0", 1, madeBy("VirtualMachine", "vm", "later"), ofID(idOfVM)), want: its},
		"but not a VM of another ID":             {held: ofVMAt(its), claim: waiter("team", "vm-0", 1, madeBy("VirtualMachine", "vm", "later"), ofID("another")), want: first},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c.claim.UID = "later"
			objects := []client.Object{testenv.NewLogicalNetwork("lan"), c.held, c.claim}
			if c.also != nil {
				objects = append(objects, c.also)
			}
			s := newStore(t, objects...)
			settle(t, s.manager(s.WithWatch), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(c.claim)})
			address := &ipamv1.IPAddress{}
			g.Expect(s.Get(t.Context(), client.ObjectKeyFromObject(c.claim), address)).To(Succeed())
			g.Expect(address.Spec.Address).To(Equal(c.want))
			g.Expect(s.Get(t.Context(), client.ObjectKeyFromObject(c.held), c.held)).To(Succeed())
			holder := "team/vm-0"
			if c.want == its {
				holder = "later"
				g.Expect(c.held.Labels).To(HaveKeyWithValue(capstanv1.ClaimLabel, holder), "by which it is freed")
				g.Expect(c.held.Spec.UserRef.UID).To(Equal(string(metav1.GetControllerOf(c.claim).UID)))
			}
			g.Expect(c.held.Spec.ClaimRef.UID).To(Equal(holder))
		})
	}
}

func TestALoadBalancerThatMakesItsClaimAgainHasItsRouterAgain(t *testing.T) {
	g := NewWithT(t)
	claim := waiter("team", "shop-vip", 1, madeBy("LoadBalancer", "shop", "uid-of-shop"), func(c *ipamv1.IPAddressClaim) {
		c.UID = "later"
		c.Annotations = map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs}
	})
	vip, router := ofBalancer("10.20.0.105", "shop-vip"), ofBalancer("vrid/7", "shop-vip")
	s := newStore(t, testenv.NewLogicalNetwork("lan"), vip, router, claim)
	settle(t, s.manager(s.WithWatch), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
	for _, held := range []*capstanv1.AddressReservation{vip, router} {
		g.Expect(s.Get(t.Context(), client.ObjectKeyFromObject(held), held)).To(Succeed())
		g.Expect(held.Spec.ClaimRef.UID).To(Equal("later"))
	}
	g.Expect(s.reservations(t)).To(HaveLen(2))
}

func TestAnAddressIsNotPassedOnByACacheThatIsBehind(t *testing.T) {
	g := NewWithT(t)
	held := left("10.20.0.33", "vm-0", &capstanv1.UserReference{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm"})
	held.Spec.ClaimRef.UID = "now"
	earlier := waiter("team", "vm-0", 1, madeBy("VirtualMachine", "vm", "uid-of-vm"))
	s := newStore(t, held, waiter("team", "vm-0", 2, func(c *ipamv1.IPAddressClaim) { c.UID = "now" }))
	passed, err := s.manager(s.WithWatch).passOn(t.Context(), earlier, held.Name)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(passed).To(BeFalse())
}
