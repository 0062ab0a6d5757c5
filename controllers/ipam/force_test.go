package ipam_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("An IPAddressClaim that somebody takes away by force", func() {
	It("leaves its address to the claim that its VM makes next", func(ctx SpecContext) {
		network, namespace := newNetwork(ctx), env.Namespace(ctx, GinkgoT())
		made := func() *ipamv1.IPAddressClaim {
			return newClaim(namespace, "vm-0", network.Name, func(c *ipamv1.IPAddressClaim) {
				c.Labels = map[string]string{capstanv1.VMIDLabel: "6d3f4c1e-0000-4000-8000-000000000001"}
				c.OwnerReferences = []metav1.OwnerReference{{
					APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm", Controller: ptr.To(true),
				}}
			})
		}
		lower, claim := newClaim(namespace, "lower", network.Name), made()
		env.Create(ctx, lower)
		addressOf(ctx, lower)
		env.Create(ctx, claim)
		was := addressOf(ctx, claim)
		Expect(env.Client.Delete(ctx, lower)).To(Succeed())
		expectReservations(ctx, network.Name, was)

		testenv.Update(ctx, env, claim, func(c *ipamv1.IPAddressClaim) {
			c.Annotations, c.Finalizers = map[string]string{clusterv1.PausedAnnotation: ""}, nil
		})
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		env.ExpectGone(ctx, claim)
		Eventually(testenv.Get(ctx, env, network)).WithContext(ctx).Should(HaveField("Status.UnclaimedCount", int32(1)))

		again := made()
		env.Create(ctx, again)
		Expect(addressOf(ctx, again)).To(Equal(was))
		Expect(reservationsIn(ctx, network.Name)).To(Equal(map[string]string{was: string(again.UID)}))
		Eventually(testenv.Get(ctx, env, network)).WithContext(ctx).Should(HaveField("Status.UnclaimedCount", int32(0)))
		Expect(network.Status.Nodes).To(HaveValue(HaveField("Used", int64(1))))

		By("freeing it as any other")
		Expect(env.Client.Delete(ctx, again)).To(Succeed())
		env.ExpectGone(ctx, again)
		expectReservations(ctx, network.Name)
	})
})

var _ = Describe("An AddressReservation", func() {
	It("is given to nobody else: it passes to a later claim of whom it is for, and no further", func(ctx SpecContext) {
		name := "held-" + env.Namespace(ctx, GinkgoT())
		held := &capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: name, Address: "10.20.0.10", ClaimRef: capstanv1.ClaimReference{Namespace: "team", Name: "vm-0", UID: "1"},
				UserRef: &capstanv1.UserReference{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm"},
			},
		}
		nobodys := held.DeepCopy()
		nobodys.Name, nobodys.Spec.UserRef = name+"-nobodys", nil
		vms := held.DeepCopy()
		vms.Name, vms.Spec.UserRef.VMID = name+"-vms", "6d3f4c1e-0000-4000-8000-000000000001"
		env.Create(ctx, held, nobodys, vms)
		change := func(obj *capstanv1.AddressReservation, with func(*capstanv1.AddressReservationSpec)) error {
			changed := obj.DeepCopy()
			with(&changed.Spec)
			return env.Client.Update(ctx, changed, client.DryRunAll)
		}
		Expect(change(held, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.UID = "2" })).To(Succeed())
		Expect(change(nobodys, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.UID = "2" })).To(MatchError(ContainSubstring("passes to a later claim only of whom it is for")))
		Expect(change(held, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.UID, s.UserRef.UID = "2", "made-again" })).To(Succeed(), "from a backup")
		Expect(change(nobodys, func(s *capstanv1.AddressReservationSpec) { s.UserRef = vms.Spec.UserRef })).To(Succeed(), "an earlier version did not write it")
		Expect(change(nobodys, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.UID, s.UserRef = "2", vms.Spec.UserRef })).To(
			MatchError(ContainSubstring("passes to a later claim only of whom it is for")), "whoever that is did not have it")
		for _, of := range []struct {
			obj  *capstanv1.AddressReservation
			with func(*capstanv1.AddressReservationSpec)
		}{
			{held, func(s *capstanv1.AddressReservationSpec) { s.Address = "10.20.0.11" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.LogicalNetwork = "dmz" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.Name = "vm-1" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.Namespace = "other" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.UserRef.UID = "another" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.UserRef = nil }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.ClaimRef.UID, s.UserRef.Name = "2", "another" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.UserRef.APIGroup = "example.org" }},
			{held, func(s *capstanv1.AddressReservationSpec) { s.UserRef.VMID = vms.Spec.UserRef.VMID }},
			{vms, func(s *capstanv1.AddressReservationSpec) { s.UserRef.VMID = "" }},
			{vms, func(s *capstanv1.AddressReservationSpec) {
				s.UserRef.VMID = "6d3f4c1e-0000-4000-8000-000000000002"
			}},
		} {
			Expect(change(of.obj, of.with)).To(MatchError(ContainSubstring("cannot be given to anybody else")))
		}
	})

	It("is for somebody who has a kind, a name and an identity, if it is for anybody", func(ctx SpecContext) {
		name := "held-" + env.Namespace(ctx, GinkgoT())
		for field, user := range map[string]capstanv1.UserReference{
			"kind": {Name: "vm", UID: "uid-of-vm"}, "name": {Kind: "VirtualMachine", UID: "uid-of-vm"}, "uid": {Kind: "VirtualMachine", Name: "vm"},
		} {
			Expect(env.Client.Create(ctx, &capstanv1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: capstanv1.AddressReservationSpec{
					LogicalNetwork: name, Address: "10.20.0.10", ClaimRef: capstanv1.ClaimReference{Namespace: "team", Name: "vm-0", UID: "1"}, UserRef: &user,
				},
			}, client.DryRunAll)).To(MatchError(ContainSubstring("spec.userRef." + field)))
		}
	})
})
