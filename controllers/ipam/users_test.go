package ipam

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestWhatAnotherProvidersObjectWasGivenIsFreedByHandOnly(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		user  *capstanv1.UserReference
		says  string
	}{
		"of another kind":              {"m-0", &capstanv1.UserReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "OtherMachine", Name: "m", UID: "m"}, "OtherMachine team/m of infrastructure.cluster.x-k8s.io"},
		"of another kind of ours":      {"m-0", &capstanv1.UserReference{APIGroup: "capstan.dev", Kind: "HyperVHost", Name: "m", UID: "m"}, "HyperVHost team/m of capstan.dev"},
		"of a kind that is called so":  {"vm-0", &capstanv1.UserReference{APIGroup: "example.org", Kind: "VirtualMachine", Name: "vm", UID: "m"}, "VirtualMachine team/vm of example.org"},
		"of the core group":            {"web-0", &capstanv1.UserReference{Kind: "Service", Name: "web", UID: "m"}, "Service team/web of the core API group"},
		"that did not control a claim": {"printer", nil, "whoever made IPAddressClaim team/printer"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			held := left("10.20.0.10", c.claim, c.user)
			k := newKeeper(t, held, answering("hv1"))
			k.look(t)
			for range 3 {
				k.wait(t, 2*abandonedGrace)
			}
			network, _ := k.wait(t, 2*abandonedGrace)
			g.Expect(k.reservations(t)).To(HaveLen(1))
			g.Expect(k.asked).To(BeZero(), "no host can tell")
			g.Expect(network.Status.Unclaimed).To(HaveExactElements(SatisfyAll(
				HaveField("Reason", capstanv1.UnclaimedForeignUser), HaveField("Message", ContainSubstring(c.says)), HaveField("Since", metav1.Unix(500, 0)))))
			g.Expect(conditions.Get(network, capstanv1.NoneAbandonedCondition)).To(SatisfyAll(
				HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonForeignUser),
				HaveField("Message", ContainSubstring("kubectl delete addressreservation lan-10.20.0.10"))))

			g.Expect(k.Delete(t.Context(), held)).To(Succeed())
			network, _ = k.look(t)
			g.Expect(conditions.IsTrue(network, capstanv1.NoneAbandonedCondition)).To(BeTrue())
		})
	}
}

func TestAReservationThatChangedSinceItWasReadIsNotDeleted(t *testing.T) {
	passed := func(g Gomega, s *store, held *capstanv1.AddressReservation) {
		now := &capstanv1.AddressReservation{}
		g.Expect(s.Get(context.Background(), client.ObjectKeyFromObject(held), now)).To(Succeed())
		now.Spec.ClaimRef.UID = "later"
		g.Expect(s.Update(context.Background(), now)).To(Succeed())
	}
	t.Run("as abandoned", func(t *testing.T) {
		g := NewWithT(t)
		held := ofVM()
		k := newKeeper(t, held)
		g.Expect(k.Get(t.Context(), client.ObjectKeyFromObject(held), held)).To(Succeed())
		passed(g, k.store, held)
		g.Expect(apierrors.IsConflict(k.freeOne(t.Context(), &capstanv1.LogicalNetwork{}, held))).To(BeTrue())
		g.Expect(k.reservations(t)).To(HaveLen(1))
		g.Expect(k.told.Of("")).To(BeEmpty())
	})
	t.Run("with its claim", func(t *testing.T) {
		g := NewWithT(t)
		claim := waiter("team", "vm-0", 1)
		held := NewReservation(claim, "lan", "lan-10.20.0.10", "10.20.0.10")
		s := newStore(t, held)
		r := s.manager(s.WithWatch)
		r.Live = interceptor.NewClient(s.WithWatch, interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				err := c.List(ctx, list, opts...)
				if _, read := list.(*capstanv1.AddressReservationList); read {
					passed(g, s, held)
				}
				return err
			},
		})
		g.Expect(apierrors.IsConflict(r.free(t.Context(), claim))).To(BeTrue())
		g.Expect(s.reservations(t)).To(HaveLen(1))
	})
}

func TestWhomAReservationIsForIsWrittenAsLongAsItsClaimTells(t *testing.T) {
	claim := waiter("team", "vm-0", 1, madeBy("VirtualMachine", "vm", "uid-of-vm"), ofID(idOfVM))
	nobodys := waiter("team", "printer", 1)
	byEarlier := func(claim *ipamv1.IPAddressClaim, address string) *capstanv1.AddressReservation {
		return left(address, claim.Name, nil, func(r *capstanv1.AddressReservation) { r.Spec.ClaimRef.UID = string(claim.UID) })
	}
	g := NewWithT(t)
	held, router, other, gone := byEarlier(claim, "10.20.0.10"), byEarlier(claim, "vrid/7"), byEarlier(nobodys, "10.20.0.11"), left("10.20.0.12", "gone-0", nil)
	k := newKeeper(t, claim, nobodys, held, router, other, gone)
	k.look(t)
	for _, r := range []*capstanv1.AddressReservation{held, router, other, gone} {
		g.Expect(k.Get(t.Context(), client.ObjectKeyFromObject(r), r)).To(Succeed())
	}
	for _, r := range []*capstanv1.AddressReservation{held, router} {
		g.Expect(r.Spec.UserRef).To(Equal(&capstanv1.UserReference{APIGroup: "capstan.dev", Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm", VMID: idOfVM}))
	}
	g.Expect(other.Spec.UserRef).To(BeNil())
	g.Expect(gone.Spec.UserRef).To(BeNil())
	version := held.ResourceVersion
	k.wait(t, time.Minute)
	g.Expect(k.Get(t.Context(), client.ObjectKeyFromObject(held), held)).To(Succeed())
	g.Expect(held.ResourceVersion).To(Equal(version), "once")
}

func TestAClaimThatWasMadeAgainFromABackupKeepsTheAddressThatItHasPublished(t *testing.T) {
	for name, c := range map[string]struct {
		by   func(*ipamv1.IPAddressClaim)
		vip  func(*capstanv1.AddressReservation)
		also client.Object
		want bool
	}{
		"":                           {by: madeBy("LoadBalancer", "shop", "made-again"), want: true},
		"unless for somebody else":   {by: madeBy("LoadBalancer", "web", "made-again")},
		"unless for another kind":    {by: madeBy("VirtualMachine", "shop", "made-again")},
		"unless somebody else's":     {by: madeBy("LoadBalancer", "shop", "made-again"), vip: func(r *capstanv1.AddressReservation) { r.Spec.ClaimRef.Name = "web-vip" }},
		"unless nobody knows whose":  {by: madeBy("LoadBalancer", "shop", "made-again"), vip: func(r *capstanv1.AddressReservation) { r.Spec.UserRef = nil }},
		"unless a Tombstone says so": {by: madeBy("LoadBalancer", "shop", "made-again"), also: tombstone(holding("10.20.0.105"))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			claim := waiter("team", "shop-vip", 1, c.by, func(claim *ipamv1.IPAddressClaim) {
				claim.UID = "later"
				claim.Annotations = map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs}
			})
			published := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-vip", OwnerReferences: []metav1.OwnerReference{
				{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "shop-vip", UID: "later", Controller: ptr.To(true)},
			}}}
			published.Spec.Address = "10.20.0.105"
			vip, router := ofBalancer("10.20.0.105", "shop-vip"), ofBalancer("vrid/7", "shop-vip")
			another := ofBalancer("vrid/8", "shop-vip")
			another.Spec.ClaimRef.UID = "of a third"
			if c.vip != nil {
				c.vip(vip)
			}
			objects := []client.Object{testenv.NewLogicalNetwork("lan"), claim, published, vip, router, another}
			if c.also != nil {
				objects = append(objects, c.also)
			}
			s := newStore(t, objects...)
			settle(t, s.manager(s.WithWatch), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
			for _, obj := range []client.Object{claim, vip, router, another} {
				g.Expect(s.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)).To(Succeed())
			}
			g.Expect(another.Spec.ClaimRef.UID).To(Equal("of a third"), "it was not that claim's")
			if !c.want {
				g.Expect(conditions.Get(claim, capstanv1.ReadyCondition)).To(HaveField("Reason", capstanv1.ReasonConflict))
				g.Expect(vip.Spec.ClaimRef.UID).NotTo(Equal("later"))
				return
			}
			g.Expect(conditions.IsTrue(claim, capstanv1.ReadyCondition)).To(BeTrue())
			for _, held := range []*capstanv1.AddressReservation{vip, router} {
				g.Expect(held.Spec.ClaimRef.UID).To(Equal("later"))
				g.Expect(held.Spec.UserRef.UID).To(Equal("made-again"))
				g.Expect(held.Labels).To(HaveKeyWithValue(capstanv1.ClaimLabel, "later"))
			}
		})
	}
}
