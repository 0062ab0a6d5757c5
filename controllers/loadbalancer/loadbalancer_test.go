package loadbalancer_test

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

var _ = Describe("A LoadBalancer", func() {
	It("gets a VIP, VMs and a plan, and carries connections", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)

		By("being ready before there is a control plane")
		vm := s.waitForVMs(ctx, 1)[0]
		Expect(vm.Name).To(MatchRegexp(`^shop-lb-[a-z0-9]{5}$`))
		Expect(vm.Spec.Role).To(Equal(capstanv1.RoleLoadBalancer))
		Expect(vm.Spec.Group).To(Equal(s.namespace + "/shop/load-balancer"))
		Eventually(condition(ctx, lb, capstanv1.VIPAllocatedCondition)).Should(Equal("True Allocated"))
		Expect(fetch(ctx, lb).Status.VIPs).To(Equal([]string{s.vip()}))
		Consistently(condition(ctx, lb, capstanv1.ReadyCondition), "200ms").Should(HavePrefix("False WaitingFor"))
		s.boot(ctx, vm)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Expect(condition(ctx, lb, capstanv1.InstancesReadyCondition)()).To(Equal("True Ready"))

		By("telling of the VM")
		status := fetch(ctx, lb).Status
		Expect(status.Selector).To(Equal("capstan.dev/load-balancer=shop"))
		Expect(status.ReadyReplicas).To(BeEquivalentTo(1))
		Expect(status.VRID).To(And(BeNumerically(">=", 1), BeNumerically("<=", 255)))
		Expect(status.Instances).To(HaveLen(1))
		Expect(status.Instances[0].Role).To(Equal("Active"))
		Expect(status.Instances[0].Host).To(Equal("hv-1"))
		Expect(status.Instances[0].AppliedGeneration).To(Equal(status.PlanGeneration))

		By("following the control plane")
		s.newCA(ctx)
		first := s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		s.newMember(ctx, "cp-2")
		Eventually(s.ask).Should(Equal("cp-2"))
		both := fetch(ctx, lb).Status.PlanGeneration
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(func() int64 { return fetch(ctx, lb).Status.Instances[0].AppliedGeneration }).Should(BeNumerically(">", both))
		drained := fetch(ctx, lb).Status.PlanGeneration
		Consistently(s.ask, "500ms").Should(Equal("cp-2"), "a machine that leaves gets no new connections")
		release(ctx, first)
		Eventually(func() int64 { return fetch(ctx, lb).Status.PlanGeneration }).Should(BeNumerically(">", drained))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
	})

	It("lets a machine go once the connections to it have ended, and no sooner", func(ctx SpecContext) {
		s := newSite(ctx)
		s.newLoadBalancer(ctx)
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		s.newCA(ctx)
		first := s.newMember(ctx, "cp-1")
		kept := s.keep()
		Eventually(kept).Should(Equal("cp-1"))
		Expect(hooks(ctx, first)).To(BeEmpty(), "nobody could stand in for it")
		second := s.newMember(ctx, "cp-2")
		for _, machine := range []*clusterv1.Machine{first, second} {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(ConsistOf(departureHook))
		}
		Eventually(s.ask).Should(Equal("cp-2"))

		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(s.ask).Should(Equal("cp-2"))
		Expect(kept()).To(Equal("cp-1"), "it has a moment to end what it is at")
		Expect(hooks(ctx, first)).NotTo(BeEmpty())
		Eventually(func() []string { return hooks(ctx, first) }).Should(BeEmpty())
		Expect(kept()).To(Equal("cp-2"), "the connection was ended before the machine might go")
		release(ctx, first)

		Expect(k8s.Delete(ctx, second)).To(Succeed())
		Eventually(func() []string { return hooks(ctx, second) }).Should(BeEmpty(), "the last one is held by nobody")
		Expect(s.ask()).To(Equal("cp-2"))
	})

	It("holds no machine once it is deleted itself", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		machines := []*clusterv1.Machine{s.newMember(ctx, "cp-1"), s.newMember(ctx, "cp-2")}
		for _, machine := range machines {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(ConsistOf(departureHook))
		}
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		for _, machine := range machines {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(BeEmpty())
		}
	})

	It("holds machines beside another load balancer of the same cluster", func(ctx SpecContext) {
		s := newSite(ctx)
		s.newLoadBalancer(ctx)
		second := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Name = strings.Repeat("x", 54) })
		other := "pre-drain.delete.hook.machine.cluster.x-k8s.io/capstan." + second.Name
		machines := []*clusterv1.Machine{s.newMember(ctx, "cp-1"), s.newMember(ctx, "cp-2")}
		for _, machine := range machines {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(ConsistOf(departureHook, other))
		}
		Expect(k8s.Delete(ctx, second)).To(Succeed())
		for _, machine := range machines {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(ConsistOf(departureHook))
		}
	})

	It("takes away the hook that load balancers used to share", func(ctx SpecContext) {
		s := newSite(ctx)
		s.newLoadBalancer(ctx)
		only := s.newMember(ctx, "cp-1")
		before := only.DeepCopy()
		only.Annotations = map[string]string{sharedHook: ""}
		Expect(k8s.Patch(ctx, only, client.MergeFrom(before))).To(Succeed())
		Expect(k8s.Delete(ctx, only)).To(Succeed())
		Eventually(func() []string { return hooks(ctx, only) }).Should(BeEmpty())
		stays := s.newMember(ctx, "cp-2")
		before = stays.DeepCopy()
		stays.Annotations = map[string]string{sharedHook: ""}
		Expect(k8s.Patch(ctx, stays, client.MergeFrom(before))).To(Succeed())
		Eventually(func() []string { return hooks(ctx, stays) }).Should(ConsistOf(departureHook))
	})

	It("holds no machine while it alone is paused", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		leaves, stays := s.newMember(ctx, "cp-1"), s.newMember(ctx, "cp-2")
		for _, machine := range []*clusterv1.Machine{leaves, stays} {
			Eventually(func() []string { return hooks(ctx, machine) }).Should(ConsistOf(departureHook))
		}
		now := fetch(ctx, lb)
		before := now.DeepCopy()
		now.Annotations = map[string]string{clusterv1.PausedAnnotation: ""}
		Expect(k8s.Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
		Eventually(condition(ctx, lb, clusterv1.PausedCondition)).Should(Equal("True Paused"))

		Expect(k8s.Delete(ctx, leaves)).To(Succeed())
		Eventually(func() []string { return hooks(ctx, leaves) }).Should(BeEmpty())
		Expect(hooks(ctx, stays)).To(ConsistOf(departureHook))
	})

	It("spends the token once and forgets it when the seed is destroyed", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		g := s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Eventually(func() bool { return s.vms(ctx)[0].Spec.RetireSeed }).Should(BeTrue())
		Expect(k8s.Get(ctx, bootstrapKey(g.vm), &corev1.Secret{})).To(Succeed(), "the seed still needs it")
		setVMStatus(ctx, g.vm, retired)
		Eventually(func() bool {
			return apierrors.IsNotFound(k8s.Get(ctx, bootstrapKey(g.vm), &corev1.Secret{}))
		}).Should(BeTrue())

		By("never telling the token")
		told := &eventsv1.EventList{}
		Eventually(func() []eventsv1.Event {
			Expect(k8s.List(ctx, told, client.InNamespace(s.namespace))).To(Succeed())
			return told.Items
		}).ShouldNot(BeEmpty())
		seen, err := json.Marshal([]any{fetch(ctx, lb), s.vms(ctx), told})
		Expect(err).NotTo(HaveOccurred())
		_, secret, _ := strings.Cut(g.config.EnrolmentToken, ".")
		Expect(string(seen)).NotTo(ContainSubstring(secret))
	})

	It("keeps the generation of a plan that has not changed", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		g := s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		before := fetch(ctx, lb).Status
		setVMStatus(ctx, g.vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Host = "hv-2" })
		Eventually(func() string { return fetch(ctx, lb).Status.Instances[0].Host }).Should(Equal("hv-2"))
		after := fetch(ctx, lb).Status
		Expect(after.PlanGeneration).To(Equal(before.PlanGeneration))
		Expect(after.PlanHash).To(Equal(before.PlanHash))
	})

	It("numbers plans beyond what its VMs carry when its status is lost", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		s.newCA(ctx)
		s.newMember(ctx, "cp-0")
		Eventually(func() int64 { return fetch(ctx, lb).Status.PlanGeneration }).Should(BeEquivalentTo(2))

		now := fetch(ctx, lb)
		before := now.DeepCopy()
		now.Status.PlanGeneration, now.Status.PlanHash = 0, ""
		Expect(k8s.Status().Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		Expect(fetch(ctx, lb).Status.PlanGeneration).To(BeNumerically(">=", 3))
	})
})
