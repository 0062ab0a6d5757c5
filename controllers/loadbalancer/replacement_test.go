package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// whyReplaced are the reasons of the events that tell of replaced VMs.
func (s *site) whyReplaced(ctx context.Context) func() []string {
	return func() []string {
		events := &eventsv1.EventList{}
		Expect(k8s.List(ctx, events, client.InNamespace(s.namespace))).To(Succeed())
		var reasons []string
		for _, e := range events.Items {
			if e.Action == "Replace" {
				reasons = append(reasons, e.Reason)
			}
		}
		return reasons
	}
}

func (s *site) standby(ctx context.Context, lb *capstanv1.LoadBalancer, names ...string) func() bool {
	return func() bool {
		for _, i := range fetch(ctx, lb).Status.Instances {
			for _, name := range names {
				if i.Name == name {
					return false
				}
			}
		}
		return condition(ctx, lb, capstanv1.InstancesReadyCondition)() == "True Ready"
	}
}

func waitsForStranger(newcomer, stranger string) string {
	return newcomer + ": waiting for " + stranger + ", which may hold the VIP"
}

var _ = Describe("A load-balancer VM that is of no use", func() {
	It("is started again where it is off, and not replaced", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		h.with(func() { s.guests[active].powerOff() })
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionFalse, capstanv1.ReasonPoweredOff))
		Eventually(role(ctx, lb, standby)).Should(Equal("Active"))
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(ContainSubstring("unless that changes, it is replaced at"))
		h.with(func() { Expect(s.guests[active].start(s)).To(Succeed()) })
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionTrue, capstanv1.ReasonReady))
		Eventually(role(ctx, lb, active)).Should(Equal("Standby"))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
		Expect(h.namesOfGone()()).To(BeEmpty())
	})

	It("is waited for while its host does not answer, and replaced when that is lost", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		h.with(func() {
			s.guests[active].powerOff()
			h.dead[active] = true
		})
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Eventually(role(ctx, lb, standby)).Should(Equal("Active"))
		leaping.Leap(2 * timeouts.Silence)
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Consistently(func() []capstanv1.VirtualMachine { return s.vms(ctx) }, "500ms").Should(HaveLen(2), "silence declares no loss")

		By("declaring the host lost")
		buried := s.vm(ctx, active)
		host := &capstanv1.HyperVHost{
			ObjectMeta: metav1.ObjectMeta{Name: buried.Status.Host},
			Spec:       capstanv1.HyperVHostSpec{Endpoint: "hv.example:9440", Lost: true},
		}
		Expect(k8s.Create(ctx, host)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, host)).To(Succeed()) })
		Eventually(func() bool { return !s.vm(ctx, active).DeletionTimestamp.IsZero() }).Should(BeTrue())
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(ContainSubstring("is declared lost"))
		tombstone := &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: string(buried.UID), Labels: map[string]string{capstanv1.LoadBalancerLabel: lb.Name}},
			Spec: capstanv1.TombstoneSpec{
				ID: string(buried.UID), Host: host.Name, VMRef: capstanv1.VMReference{Namespace: s.namespace, Name: active},
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: s.network, Address: buried.Status.Addresses[0]}},
			},
		}
		Expect(k8s.Create(ctx, tombstone)).To(Succeed())
		letGo(ctx, buried)
		Eventually(s.standby(ctx, lb, active)).Should(BeTrue())
		Eventually(s.whyReplaced(ctx)).Should(ConsistOf(capstanv1.ReasonHostLost))

		By("having the host come back with the VM running")
		h.with(func() { Expect(s.guests[active].start(s)).To(Succeed()) })
		Consistently(func() (owners int) {
			h.with(func() { owners = h.count() })
			return owners
		}, "1500ms").Should(Equal(1), "it hears the others, because they still know it")
		Expect(role(ctx, lb, standby)()).To(Equal("Active"))

		By("confirming its death")
		h.with(func() { s.guests[active].powerOff() })
		generation := fetch(ctx, lb).Status.PlanGeneration
		Expect(k8s.Delete(ctx, tombstone)).To(Succeed())
		Eventually(func() int64 { return fetch(ctx, lb).Status.PlanGeneration }).Should(BeNumerically(">", generation))
		h.with(func() { Expect(h.owners).To(Equal(1)) })
	})

	It("holds up nobody's successor while its deletion waits for a host that does not answer", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		h.with(func() {
			h.dead[active] = true
			s.guests[active].running.KillAgent()
		})
		Expect(k8s.Delete(ctx, s.vm(ctx, active))).To(Succeed())
		Eventually(role(ctx, lb, active)).Should(Equal("Unknown"))
		Expect(s.vms(ctx)).To(HaveLen(1), "it is about to go, as far as anybody knows")
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionFalse, capstanv1.ReasonHostUnreachable))
		successor := other(s.waitForVMs(ctx, 2), standby).Name
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(And(
			ContainSubstring(active+" is being deleted; it may still run"),
			ContainSubstring(waitsForStranger(successor, active)),
		))
		h.with(func() {
			Expect(s.guests[successor].running.Status().Generation).To(BeZero(), "it does not know the successor")
		})

		By("losing the host of the other one")
		h.with(func() { s.guests[standby].powerOff() })
		host := &capstanv1.HyperVHost{
			ObjectMeta: metav1.ObjectMeta{Name: s.vm(ctx, standby).Status.Host},
			Spec:       capstanv1.HyperVHostSpec{Endpoint: "hv.example:9440", Lost: true},
		}
		Expect(k8s.Create(ctx, host)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, host)).To(Succeed()) })
		Eventually(h.namesOfGone()).Should(ContainElement(standby))
		Eventually(func() []capstanv1.VirtualMachine { return s.vms(ctx) }).Should(HaveLen(2))

		By("having the host answer that did not")
		h.with(func() { delete(h.dead, active) })
		Eventually(s.standby(ctx, lb, active, standby)).Should(BeTrue())
		Eventually(h.namesOfGone()).Should(ConsistOf(active, standby), "no more than those two were replaced")
		Expect(s.vms(ctx)).To(HaveLen(2))
		h.with(func() { Expect(h.owners).To(Equal(1)) })
	})

	It("keeps the VIP until another one can take it, though nobody can ask it", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		mute := s.vms(ctx)[0]
		Eventually(func() bool { return s.vm(ctx, mute.Name).Spec.RetireSeed }).Should(BeTrue())
		h.with(func() {
			s.guests[mute.Name].running.KillAgent()
			h.dead[mute.Name] = true
		})
		Eventually(role(ctx, lb, mute.Name)).Should(Equal("Unknown"))
		leaping.Leap(timeouts.Silence)
		setVMStatus(ctx, s.vm(ctx, mute.Name), says(metav1.ConditionTrue, capstanv1.ReasonReady))

		By("making another one, which rehearses")
		Eventually(func() bool { return !s.vm(ctx, mute.Name).DeletionTimestamp.IsZero() }).Should(BeTrue())
		successor := other(s.vms(ctx), mute.Name).Name
		Expect(s.ask()).To(Equal("cp-1"))
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(ContainSubstring("is silent"))
		h.with(func() {
			status := s.guests[successor].running.Status()
			Expect(status.Generation).NotTo(BeZero(), "it showed that it can take a plan before the first one had to go")
			Expect(status.VIPs).To(BeEmpty(), "the first one does not know of it")
		})

		By("letting the first one go")
		h.with(func() { delete(h.dead, mute.Name) })
		Eventually(role(ctx, lb, successor)).Should(Equal("Active"))
		Eventually(s.ask).Should(Equal("cp-1"))
		Eventually(s.standby(ctx, lb, mute.Name)).Should(BeTrue())
		h.with(func() { Expect(h.owners).To(Equal(1)) })
		Eventually(s.whyReplaced(ctx)).Should(ConsistOf(capstanv1.ReasonAgentSilent))
	})

	It("is replaced one after the other where nobody knows any of them any more", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		for _, name := range []string{active, standby} {
			vm := s.vm(ctx, name)
			setVMStatus(ctx, vm, retired)
			Eventually(isGone(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: vm.Namespace, Name: bootstrapKey(vm).Name}})).Should(BeTrue())
			Expect(pins.Forget(ctx, trust.Instance(vm))).To(Succeed())
		}
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.standby(ctx, lb, active, standby)).Should(BeTrue())
		Eventually(h.namesOfGone()).Should(ConsistOf(active, standby))
		h.with(func() {
			Expect(h.most).To(Equal(1), "never both at once")
			Expect(h.owners).To(Equal(1))
		})
		Eventually(s.whyReplaced(ctx)).Should(ConsistOf(capstanv1.ReasonEnrolmentLost, capstanv1.ReasonEnrolmentLost))
	})

	It("is made again elsewhere where its host has no room for it", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		full := s.waitForVMs(ctx, 1)[0]
		hold(ctx, &full)
		before := full.DeepCopy()
		full.Spec.Placement = &capstanv1.Placement{Host: "hv-full", Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "csv1"}}}
		Expect(k8s.Patch(ctx, &full, client.MergeFrom(before))).To(Succeed())
		setVMStatus(ctx, &full, func(vm *capstanv1.VirtualMachine) {
			vm.Status.Host = "hv-full"
			says(metav1.ConditionFalse, capstanv1.ReasonOutOfCapacity)(vm)
		})
		Consistently(func() []capstanv1.VirtualMachine { return s.vms(ctx) }, "300ms").Should(HaveLen(1), "there may be room soon")

		setVMStatus(ctx, &full, func(vm *capstanv1.VirtualMachine) {
			meta.SetStatusCondition(&vm.Status.Conditions, metav1.Condition{
				Type: capstanv1.PlacedCondition, Status: metav1.ConditionTrue, Reason: capstanv1.ReasonPlaced,
				LastTransitionTime: metav1.NewTime(leaping.Now().Add(-timeouts.Boot)),
			})
		})
		var successor capstanv1.VirtualMachine
		Eventually(func() string {
			successor = other(s.vms(ctx), full.Name)
			return successor.Name
		}).ShouldNot(BeEmpty())
		Expect(successor.Spec.AvoidHosts).To(ConsistOf("hv-full"))
		Eventually(s.whyReplaced(ctx)).Should(ConsistOf(capstanv1.ReasonOutOfCapacity))
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(ContainSubstring("it has never come up"))
		letGo(ctx, &full)
		s.boot(ctx, successor)
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
	})
})

var _ = Describe("The VMs of a LoadBalancer that is scaled", func() {
	It("lose no connection from 2 to 1 and back to 2", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		asking, stop := context.WithCancel(ctx)
		answers := make(chan string)
		go func() {
			defer close(answers)
			for asking.Err() == nil {
				answers <- s.ask()
			}
		}()
		failed := make(chan []string)
		go func() {
			var wrong []string
			for answer := range answers {
				if answer != "cp-1" {
					wrong = append(wrong, answer)
				}
			}
			failed <- wrong
		}()

		scale(ctx, lb, 1)
		Eventually(h.namesOfGone()).Should(ConsistOf(standby))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
		scale(ctx, lb, 2)
		Eventually(func() int32 { return fetch(ctx, lb).Status.ReadyReplicas }).Should(BeEquivalentTo(2))
		Expect(role(ctx, lb, active)()).To(Equal("Active"))
		stop()
		Expect(<-failed).To(BeEmpty())
		h.with(func() { Expect(h.owners).To(Equal(1)) })
	})

	It("tell when one host has them all", func(ctx SpecContext) {
		s := newSite(ctx)
		s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		Expect(condition(ctx, lb, capstanv1.InstancesApartCondition)()).To(Equal("True Apart"))
		setVMStatus(ctx, s.vm(ctx, standby), func(vm *capstanv1.VirtualMachine) { vm.Status.Host = "host-of-" + active })
		Eventually(condition(ctx, lb, capstanv1.InstancesApartCondition)).Should(Equal("False SharedHost"))
		Expect(message(ctx, lb, capstanv1.InstancesApartCondition)()).To(ContainSubstring("host-of-" + active))
	})
})
