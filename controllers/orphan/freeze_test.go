package orphan

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var _ = Describe("Nothing is removed unasked", func() {
	remnantsOnly := func(p *Policy) { p.Removal = RemoveRemnants }

	expectFrozen := func(ctx SpecContext, s *site, host, why string, ids ...hostapi.VMID) {
		GinkgoHelper()
		Expect(s.condition(ctx, host)).To(SatisfyAll(HaveField("Reason", capstanv1.ReasonOrphansFrozen), HaveField("Message", ContainSubstring(why))))
		for _, id := range ids {
			Expect(s.reported(ctx, host, id)).To(HaveValue(HaveField("State", capstanv1.OrphanFrozen)))
			Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		}
	}

	It("in a dry run, whatever is acknowledged", func(ctx SpecContext) {
		s := newSite(ctx, func(p *Policy) { p.Removal = RemoveNothing })
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		Expect(s.condition(ctx, "hv1").Reason).To(Equal(capstanv1.ReasonOrphansReported))
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		s.pass(ctx)
		s.pass(ctx)
		Expect(s.reported(ctx, "hv1", id)).To(HaveValue(HaveField("State", capstanv1.OrphanReported)))
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
	})

	It("that is a whole VM, by default; what is left of VMs is", func(ctx SpecContext) {
		Expect(DefaultPolicy().Removal).To(Equal(RemoveRemnants))
		s := newSite(ctx, remnantsOnly)
		whole, remnant := s.stray(ctx, "hv1"), s.stray(ctx, "hv1")
		s.unmake(ctx, remnant)
		s.sweep(ctx)
		s.pass(ctx)
		Eventually(s.remains(ctx, remnant)).Should(BeEmpty())
		Expect(s.remains(ctx, whole)()).NotTo(BeEmpty())
		Expect(s.reported(ctx, "hv1", whole)).To(HaveValue(HaveField("State", capstanv1.OrphanReported)))

		By("removing it when an administrator says so")
		s.sweep(ctx)
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		s.sweep(ctx)
		Eventually(s.remains(ctx, whole)).Should(BeEmpty())
	})

	It("if there are more orphans than a small share, until an administrator acknowledges these and no others", func(ctx SpecContext) {
		s := newSite(ctx)
		few := s.strays(ctx, "hv1", s.Policy.FreezeAbove)
		s.sweep(ctx)
		Expect(s.condition(ctx, "hv1").Reason).To(Equal(capstanv1.ReasonOrphansFound), "as few as that are usual")
		many := append(few, s.stray(ctx, "hv1"))
		s.sweep(ctx)
		expectFrozen(ctx, s, "hv1", "4 of the 4 VMs that the hosts hold have no object", many...)
		Expect(s.told(ctx, "hv1")).To(ContainElement(eventFrozen))
		s.pass(ctx)
		s.pass(ctx)
		expectFrozen(ctx, s, "hv1", "4 of the 4 VMs", many...)

		By("taking no word that is about others")
		token := s.token(ctx, "hv1")
		last := s.stray(ctx, "hv1")
		s.sweep(ctx)
		s.acknowledge(ctx, "hv1", token)
		s.pass(ctx)
		expectFrozen(ctx, s, "hv1", "5 of the 5 VMs", append(many, last)...)

		By("doing what it is told")
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		s.sweep(ctx)
		for _, id := range append(many, last) {
			Eventually(s.remains(ctx, id)).Should(BeEmpty())
		}
		another := s.stray(ctx, "hv1")
		s.sweep(ctx)
		Expect(s.reported(ctx, "hv1", another)).To(HaveValue(HaveField("Acknowledged", false)), "an old word says nothing of it")
	})

	It("though there are fewer orphans again, once they were too many", func(ctx SpecContext) {
		s := newSite(ctx)
		ids := s.strays(ctx, "hv1", s.Policy.FreezeAbove+1)
		s.sweep(ctx)
		for _, id := range ids[1:] {
			back := s.object("back-" + string(id)[:8])
			back.Spec.ID = string(id)
			env.Create(ctx, back)
		}
		s.pass(ctx)
		s.restart()
		s.pass(ctx)
		s.pass(ctx)
		expectFrozen(ctx, s, "hv1", "have no object", ids[0])
	})

	It("if the API server knows no VM at all, as one that was emptied or restored", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		Expect(env.Client.Delete(ctx, s.object("stays"))).To(Succeed())
		s.pass(ctx)
		expectFrozen(ctx, s, "hv1", "the API server knows no VirtualMachine at all", id)
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		s.sweep(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
	})

	It("if nothing is left in the namespace that it comes from, as after clusterctl has moved its clusters", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Owner = "moved/stray" })
		s.sweep(ctx)
		s.pass(ctx)
		expectFrozen(ctx, s, "hv1", "namespace moved holds no VirtualMachine any more", id)
	})
})
