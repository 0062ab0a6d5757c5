package orphan

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

var _ = Describe("Orphaned VMs and disks", func() {
	It("are reported, left alone for the grace period, and removed with all their disks", func(ctx SpecContext) {
		s := newSite(ctx)
		whole, remnant := s.stray(ctx, "hv1"), s.stray(ctx, "hv2")
		s.unmake(ctx, remnant)
		Expect(s.remains(ctx, remnant)()).NotTo(BeEmpty())
		found, removed := testenv.Count(GinkgoT(), "capstan_orphans_found_total"), testenv.Count(GinkgoT(), "capstan_orphans_removed_total")

		Expect(s.sweep(ctx)).To(Equal(s.Policy.Interval))
		Expect(testenv.Count(GinkgoT(), "capstan_orphans_found_total")).To(Equal(found + 2))
		Expect(s.reported(ctx, "hv1", whole)).To(HaveValue(SatisfyAll(
			HaveField("State", capstanv1.OrphanWaiting), HaveField("Owner", s.namespace+"/stray"), HaveField("Remnant", false),
			HaveField("Volumes", Equal([]string{"csv1", "csv2"})), HaveField("Message", ContainSubstring("it is removed after")),
		)))
		Expect(s.reported(ctx, "hv2", remnant)).To(HaveValue(SatisfyAll(HaveField("State", capstanv1.OrphanWaiting), HaveField("Remnant", true))))
		Expect(s.condition(ctx, "hv1")).To(SatisfyAll(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonOrphansFound)))
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound}))

		s.clock.SetTime(s.clock.Now().Add(s.Policy.Grace - 5*time.Second))
		Expect(s.sweep(ctx)).To(BeNumerically("<=", 7*time.Second), "it looks again when the grace period is over")
		Expect(s.remains(ctx, whole)()).NotTo(BeEmpty())
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound}), "it is told once")

		s.pass(ctx)
		Eventually(s.remains(ctx, whole)).Should(BeEmpty())
		Eventually(s.remains(ctx, remnant)).Should(BeEmpty())
		s.sweep(ctx)
		Expect(s.host(ctx, "hv1").Status.Orphans).To(BeEmpty())
		Expect(s.condition(ctx, "hv1")).To(SatisfyAll(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", capstanv1.ReasonNoOrphans)))
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound, eventRemoved}))
		Expect(testenv.Count(GinkgoT(), "capstan_orphans_removed_total")).To(Equal(removed + 2))
	})

	It("bear our stamp: what is another installation's is neither counted nor touched", func(ctx SpecContext) {
		s := newSite(ctx)
		theirs := s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Stamp.Installation = "another" })
		s.sweep(ctx)
		s.pass(ctx)
		Expect(s.host(ctx, "hv1").Status.Orphans).To(BeEmpty())
		Expect(s.condition(ctx, "hv1").Status).To(Equal(metav1.ConditionTrue))
		Expect(s.remains(ctx, theirs)()).NotTo(BeEmpty())
	})

	It("have no object, whether that is a VirtualMachine, a HyperVMachine, what was recorded of them, or a Tombstone", func(ctx SpecContext) {
		s := newSite(ctx)
		byUID := s.object("by-uid")
		env.Create(ctx, byUID)
		machine := &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "machine"}}
		machine.Spec.Image, machine.Spec.Size = "linux", testenv.NewSize(1, "1Gi", "20Gi")
		machine.Spec.Networks = []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}
		env.Create(ctx, machine)
		for _, uid := range []types.UID{byUID.UID, machine.UID} {
			s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Stamp.ID = hostapi.VMID(uid) })
		}
		recorded := s.object("recorded")
		recorded.Spec.ID = string(s.stray(ctx, "hv1"))
		moved := &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "moved"}, Spec: machine.Spec}
		moved.Spec.ProviderID = capstanv1.ProviderIDScheme + string(s.stray(ctx, "hv1"))
		buried := &capstanv1.Tombstone{Spec: capstanv1.TombstoneSpec{
			ID: string(s.stray(ctx, "hv1")), VMRef: capstanv1.VMReference{Namespace: s.namespace, Name: "buried"}, Host: "hv1",
		}}
		buried.Name = buried.Spec.ID
		env.Create(ctx, recorded, moved, buried)

		s.sweep(ctx)
		s.pass(ctx)
		Expect(s.host(ctx, "hv1").Status.Orphans).To(BeEmpty())
		Expect(s.agents["hv1"].Client().ListVMs(ctx)).To(HaveLen(5))
	})

	It("are none any more if their object comes back in the grace period", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		Expect(s.reported(ctx, "hv1", id)).NotTo(BeNil())
		restored := s.object("stray")
		restored.Spec.ID = string(id)
		env.Create(ctx, restored)
		s.pass(ctx)
		Expect(s.host(ctx, "hv1").Status.Orphans).To(BeEmpty())
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound}))
	})

	It("are none if their object comes back after the report and before the removal", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		restored := s.object("stray")
		restored.Spec.ID = string(id)
		reads := 0
		s.live.before = func() {
			if reads++; reads == 2 {
				env.Create(ctx, restored)
			}
		}
		s.pass(ctx)
		Expect(reads).To(BeNumerically(">=", 2), "the API server is asked once more")
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
	})

	It("are not VMs whose object is made while a sweep is under way, because the agents are asked first", func(ctx SpecContext) {
		s := newSite(ctx)
		var id hostapi.VMID
		s.live.before = func() {
			s.live.before = nil
			object := s.object("newcomer")
			env.Create(ctx, object)
			id = s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Stamp.ID = hostapi.VMID(object.UID) })
		}
		s.sweep(ctx)
		Expect(id).NotTo(BeEmpty())
		for _, name := range []string{"hv1", "hv2", "hv3"} {
			Expect(s.told(ctx, name)).To(BeEmpty())
			Expect(s.host(ctx, name).Status.Orphans).To(BeEmpty())
		}
	})

	It("are found though a host makes them only after their object has gone", func(ctx SpecContext) {
		s := newSite(ctx)
		object := s.object("late")
		env.Create(ctx, object)
		s.sweep(ctx)
		Expect(env.Client.Delete(ctx, object)).To(Succeed())
		s.sweep(ctx)
		id := s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Stamp.ID = hostapi.VMID(object.UID) })
		s.sweep(ctx)
		s.pass(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
	})

	It("are forgotten when somebody else removes them", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		Eventually(func() error {
			return s.agents["hv1"].Client().DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: hostapi.Stamp{Installation: here, ID: id}})
		}).Should(WithTransform(hostapi.ClassOf, Equal(hostapi.NotFound)))
		s.sweep(ctx)
		Expect(s.host(ctx, "hv1").Status.Orphans).To(BeEmpty())
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound}), "the sweep has removed nothing")
	})

	It("survive a manager that is killed between report and removal: the next one goes on from the report", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		since := s.reported(ctx, "hv1", id).FirstSeen
		s.restart()
		s.pass(ctx)
		Expect(s.reported(ctx, "hv1", id)).To(HaveValue(SatisfyAll(
			HaveField("FirstSeen", since), HaveField("State", capstanv1.OrphanWaiting), HaveField("Message", ContainSubstring("second sweep")))))
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty(), "this manager has seen it once")
		s.sweep(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
		s.restart()
		s.sweep(ctx)
		Expect(s.told(ctx, "hv1")).To(Equal([]string{eventFound, eventRemoved}), "the third one tells how it ended")
	})

	It("are not removed unless the report of them stands", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		s.live.before = func() {
			s.live.before = nil
			// Another controller writes the status after the sweep has read it.
			testenv.UpdateStatus(ctx, env, s.host(ctx, "hv1"), func(h *capstanv1.HyperVHost) { h.Status.VMs = 7 })
		}
		s.clock.SetTime(s.clock.Now().Add(s.Policy.Grace + time.Second))
		Expect(s.sweep(ctx)).To(Equal(afterConflict))
		Expect(s.reported(ctx, "hv1", id)).To(HaveValue(HaveField("State", capstanv1.OrphanWaiting)))
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		s.sweep(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
		Expect(s.host(ctx, "hv1").Status.VMs).To(Equal(int32(7)))
	})
})

var _ = Describe("A host that cannot be asked", func() {
	It("is skipped, and said; what was found there stays and is not removed, while others are swept", func(ctx SpecContext) {
		s := newSite(ctx)
		silent, other := s.stray(ctx, "hv1"), s.stray(ctx, "hv2")
		s.sweep(ctx)
		testenv.UpdateStatus(ctx, env, s.host(ctx, "hv1"), func(h *capstanv1.HyperVHost) {
			conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
		})
		s.pass(ctx)
		Eventually(s.remains(ctx, other)).Should(BeEmpty())
		Expect(s.remains(ctx, silent)()).NotTo(BeEmpty())
		Expect(s.reported(ctx, "hv1", silent)).NotTo(BeNil())
		Expect(s.condition(ctx, "hv1")).To(SatisfyAll(
			HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", capstanv1.ReasonHostUnreachable), HaveField("Message", ContainSubstring("hv1 does not answer"))))
	})

	It("that is declared lost is not asked", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv1")
		testenv.Update(ctx, env, s.host(ctx, "hv1"), func(h *capstanv1.HyperVHost) { h.Spec.Lost = true })
		s.sweep(ctx)
		s.pass(ctx)
		Expect(s.condition(ctx, "hv1").Reason).To(Equal(capstanv1.ReasonHostLost))
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
	})

	It("fails the listing: nothing is judged by half a list", func(ctx SpecContext) {
		s := newSite(ctx)
		driver := agenttest.NewDriver("hv1")
		s.agents["hv1"].Restart(driver)
		driver.FailNext("ListVMs", hostapi.Errorf(hostapi.Transient, "ListVMs", "", "a volume could not be read"))
		s.sweep(ctx)
		Expect(s.condition(ctx, "hv1")).To(SatisfyAll(HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", capstanv1.ReasonTransientError)))
	})
})

var _ = Describe("A failover cluster", func() {
	It("is one place: an orphan is counted once, told of at the host that has it, and followed when it moves", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv3")
		s.sweep(ctx)
		Expect(s.host(ctx, "hv2").Status.Orphans).To(BeEmpty())
		found := s.reported(ctx, "hv3", id)
		Expect(found).NotTo(BeNil())

		s.move(ctx, id, "hv2")
		s.sweep(ctx)
		Expect(s.host(ctx, "hv3").Status.Orphans).To(BeEmpty())
		Expect(s.reported(ctx, "hv2", id)).To(HaveValue(HaveField("FirstSeen", found.FirstSeen)), "its grace period goes on")
		Expect(s.told(ctx, "hv2")).To(BeEmpty(), "it is the same orphan")

		s.pass(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
	})

	It("is judged as a whole or not at all", func(ctx SpecContext) {
		s := newSite(ctx)
		id := s.stray(ctx, "hv2")
		s.sweep(ctx)
		testenv.UpdateStatus(ctx, env, s.host(ctx, "hv3"), func(h *capstanv1.HyperVHost) {
			conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
		})
		s.pass(ctx)
		for _, name := range []string{"hv2", "hv3"} {
			Expect(s.condition(ctx, name)).To(SatisfyAll(
				HaveField("Status", metav1.ConditionUnknown), HaveField("Message", ContainSubstring("failover cluster fc1 is not swept: host hv3 does not answer"))))
		}
		Expect(s.remains(ctx, id)()).NotTo(BeEmpty())
		testenv.Update(ctx, env, s.host(ctx, "hv3"), func(h *capstanv1.HyperVHost) { h.Spec.Lost = true })
		s.sweep(ctx)
		s.sweep(ctx)
		Eventually(s.remains(ctx, id)).Should(BeEmpty(), "whoever is lost for good is not waited for")
	})
})

var _ = Describe("A sweep", func() {
	It("comes by itself soon after a host has, and as soon as an administrator says something", func(ctx SpecContext) {
		s := newSite(ctx, func(p *Policy) {
			p.Removal, p.Grace, p.Interval, p.AfterArrival = RemoveRemnants, 0, time.Hour, time.Millisecond
		})
		id := s.stray(ctx, "hv1")
		env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
			s.Client = mgr.GetClient()
			return []testenv.Reconciler{s.Reconciler}
		})
		Eventually(func() *capstanv1.HostOrphan { return s.reported(ctx, "hv1", id) }).ShouldNot(BeNil())
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
		Eventually(func() []string { return s.told(ctx, "hv1") }).Should(Equal([]string{eventFound, eventRemoved}))
	})
})
