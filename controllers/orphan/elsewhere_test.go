package orphan

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var _ = Describe("A VM that is known, and stands where it was not placed", func() {
	// known makes the object of a VM that has a place.
	known := func(ctx context.Context, s *site, id hostapi.VMID, at capstanv1.Placement) *capstanv1.VirtualMachine {
		GinkgoHelper()
		vm := s.object("moved")
		vm.Spec.ID, vm.Spec.Placement = string(id), &at
		vm.Spec.Placement.Disks = []capstanv1.DiskPlacement{{Name: "boot", Volume: "csv1"}}
		env.Create(ctx, vm)
		return vm
	}
	onHv1 := capstanv1.Placement{Host: "hv1"}

	It("is no orphan: it is told of with both places, and never removed, whoever says so", func(ctx SpecContext) {
		s := newSite(ctx, func(p *Policy) { p.FreezeAbove, p.FreezeShare = 0, 0 })
		id := s.stray(ctx, "hv2")
		known(ctx, s, id, onHv1)
		s.sweep(ctx)
		Expect(s.reported(ctx, "hv2", id)).To(HaveValue(SatisfyAll(
			HaveField("State", capstanv1.OrphanElsewhere), HaveField("Owner", s.namespace+"/stray"),
			HaveField("Message", SatisfyAll(ContainSubstring("VirtualMachine "+s.namespace+"/moved has it on host hv1"), ContainSubstring("move it back"))))))
		Expect(s.condition(ctx, "hv2")).To(SatisfyAll(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonMovedElsewhere),
			HaveField("Message", SatisfyAll(HavePrefix("0 orphans; 1 known, but not where it belongs"), ContainSubstring("on host hv1"))),
		), "and it is not frozen, though any orphan would be")
		Expect(s.told(ctx, "hv2")).To(Equal([]string{eventStrayed}))
		Expect(tokenOf(s.host(ctx, "hv2").Status.Orphans)).To(BeEmpty(), "there is nothing to acknowledge")
		for range 3 {
			s.pass(ctx)
		}
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		Expect(s.told(ctx, "hv2")).To(Equal([]string{eventStrayed}), "it is told once")

		By("saying nothing of it any more once it is gone from there")
		Eventually(func() error {
			return s.agents["hv2"].Client().DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: hostapi.Stamp{Installation: here, ID: id}})
		}).Should(WithTransform(hostapi.ClassOf, Equal(hostapi.NotFound)))
		s.sweep(ctx)
		Expect(s.host(ctx, "hv2").Status.Orphans).To(BeEmpty())
		Expect(s.condition(ctx, "hv2").Status).To(Equal(metav1.ConditionTrue))
	})

	It("is told of as one of two if it is where it belongs, too", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.stray(ctx, "hv2", func(r *hostapi.EnsureVMRequest) { r.Stamp.ID = id })
		known(ctx, s, id, onHv1)
		s.sweep(ctx)
		Expect(s.reported(ctx, "hv1", id)).To(BeNil())
		Expect(s.reported(ctx, "hv2", id)).To(HaveValue(HaveField("Message", ContainSubstring("two VMs of one identity"))))
	})

	It("is where it belongs on any node of its failover cluster", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv3")
		known(ctx, s, id, capstanv1.Placement{Host: "hv2", FailoverCluster: "fc1"})
		s.sweep(ctx)
		Expect(s.host(ctx, "hv3").Status.Orphans).To(BeEmpty())
		Expect(s.host(ctx, "hv2").Status.Orphans).To(BeEmpty())
	})

	It("is an orphan from when its object is gone, with a grace period of its own", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv2")
		vm := known(ctx, s, id, onHv1)
		s.sweep(ctx)
		since := s.reported(ctx, "hv2", id).FirstSeen
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		s.pass(ctx)
		Expect(s.reported(ctx, "hv2", id)).To(HaveValue(SatisfyAll(
			HaveField("State", capstanv1.OrphanWaiting), HaveField("FirstSeen", Not(Equal(since))))))
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		s.pass(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
		s.sweep(ctx)
		Expect(s.told(ctx, "hv2")).To(Equal([]string{eventStrayed, eventFound, eventRemoved}))
	})

	It("is left to the tombstone that has it removed wherever it is", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv2")
		known(ctx, s, id, onHv1)
		buried := &capstanv1.Tombstone{Spec: capstanv1.TombstoneSpec{
			ID: string(id), VMRef: capstanv1.VMReference{Namespace: s.namespace, Name: "moved"}, Host: "hv1",
		}}
		buried.Name = buried.Spec.ID
		env.Create(ctx, buried)
		s.sweep(ctx)
		Expect(s.host(ctx, "hv2").Status.Orphans).To(BeEmpty())
	})
})
