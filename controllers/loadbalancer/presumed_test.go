package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// newHosts makes hosts that answer, and ends them with the spec.
func newHosts(ctx context.Context, names ...string) map[string]*capstanv1.HyperVHost {
	GinkgoHelper()
	hosts := map[string]*capstanv1.HyperVHost{}
	for _, name := range names {
		host := testenv.NewHyperVHost(name)
		Expect(k8s.Create(ctx, host)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, host)).To(Succeed()) })
		tellHost(ctx, host, true)
		hosts[name] = host
	}
	return hosts
}

// tellHost is what the host's controller tells of its agent.
func tellHost(ctx context.Context, host *capstanv1.HyperVHost, answers bool) {
	GinkgoHelper()
	reported := testenv.NewHyperVHost(host.Name).Status
	testenv.UpdateStatus(ctx, env, host, func(h *capstanv1.HyperVHost) {
		was := h.Status.Conditions
		h.Status = *reported.DeepCopy()
		h.Status.Conditions = was
		if answers {
			conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "it answers")
		} else {
			conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "no answer")
		}
	})
}

// hearing is what a guest says of another one: "silent" or "heard", or "" for nothing.
func (s *site) hearing(h *hosts, of, other string) func() (said string) {
	return func() (said string) {
		h.with(func() {
			for _, peer := range s.guests[of].running.Status().Peers {
				switch {
				case peer.Name != other:
				case peer.Silent:
					said = "silent"
				default:
					said = "heard"
				}
			}
		})
		return said
	}
}

func (s *site) presumption(ctx context.Context, name string) func() map[string]string {
	return func() map[string]string { return s.vm(ctx, name).Annotations }
}

var _ = Describe("A load-balancer VM on a host that is silent", func() {
	It("is replaced as on a lost host once nobody else hears it either, for as long", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		fleet := newHosts(ctx, "host-of-"+active, "host-of-"+standby, "another-of-"+s.namespace)
		its, another := fleet["host-of-"+active], fleet["another-of-"+s.namespace]

		By("its host and its agent falling silent, while it carries the VIP")
		h.with(func() {
			h.dead[active] = true
			s.guests[active].running.KillAgent()
		})
		tellHost(ctx, its, false)
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Eventually(role(ctx, lb, active)).Should(Equal("Unknown"))
		Eventually(s.hearing(h, standby, active)).Should(Equal("heard"))
		leaping.Leap(healing.HostLoss)
		setVMStatus(ctx, s.vm(ctx, active), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Consistently(s.presumption(ctx, active), "500ms").ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))

		By("its power going")
		h.with(func() { s.guests[active].powerOff() })
		Eventually(role(ctx, lb, standby)).Should(Equal("Active"))
		Eventually(s.hearing(h, standby, active)).Should(Equal("silent"))
		Eventually(message(ctx, lb, capstanv1.InstancesReadyCondition)).Should(And(
			ContainSubstring("neither its agent nor any host that can have it (host-of-"+active+") answers"), ContainSubstring("it is replaced at")))
		Expect(s.vms(ctx)).To(HaveLen(2))

		By("most hosts being silent when the time is up")
		tellHost(ctx, another, false)
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("False RepairHeld"))
		Expect(message(ctx, lb, capstanv1.InstancesReadyCondition)()).To(ContainSubstring("2 of 3 hosts do not answer"))
		leaping.Leap(healing.HostLoss)
		tellHost(ctx, its, false)
		Consistently(s.presumption(ctx, active), "500ms").ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))
		Expect(s.vms(ctx)).To(HaveLen(2))

		By("the others answering again")
		tellHost(ctx, another, true)
		Eventually(func() bool { return !s.vm(ctx, active).DeletionTimestamp.IsZero() }).Should(BeTrue())
		Expect(s.presumption(ctx, active)()).To(HaveKey(capstanv1.PresumedLostAnnotation))
		Eventually(s.whyReplaced(ctx)).Should(ConsistOf(capstanv1.ReasonHostLost))
		Expect(role(ctx, lb, standby)()).To(Equal("Active"))

		By("its host coming back before anything was left to a Tombstone")
		tellHost(ctx, its, true)
		Eventually(s.presumption(ctx, active)).ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))
		h.with(func() { delete(h.dead, active) })
		Eventually(s.standby(ctx, lb, active)).Should(BeTrue())
		h.with(func() { Expect(h.owners).To(Equal(1)) })
	})

	It("is not waited for when somebody has deleted it", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		fleet := newHosts(ctx, "host-of-"+active, "host-of-"+standby, "another-of-"+s.namespace)
		h.with(func() {
			h.dead[standby] = true
			s.guests[standby].powerOff()
		})
		tellHost(ctx, fleet["host-of-"+standby], false)
		Expect(k8s.Delete(ctx, s.vm(ctx, standby))).To(Succeed())
		setVMStatus(ctx, s.vm(ctx, standby), says(metav1.ConditionFalse, capstanv1.ReasonHostUnreachable))
		Eventually(s.hearing(h, active, standby)).Should(Equal("silent"))
		Eventually(role(ctx, lb, standby)).Should(Equal("Unknown"))
		Expect(s.presumption(ctx, standby)()).NotTo(HaveKey(capstanv1.PresumedLostAnnotation))
		leaping.Leap(healing.HostLoss)
		Eventually(s.presumption(ctx, standby)).Should(HaveKey(capstanv1.PresumedLostAnnotation))
		h.with(func() { delete(h.dead, standby) })
		Eventually(s.standby(ctx, lb, standby)).Should(BeTrue())
	})

	It("is waited for where there is nobody to say that it is gone", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		alone := s.vms(ctx)[0].Name
		fleet := newHosts(ctx, "host-of-"+alone, "another-of-"+s.namespace, "a-third-of-"+s.namespace)
		h.with(func() {
			h.dead[alone] = true
			s.guests[alone].powerOff()
		})
		tellHost(ctx, fleet["host-of-"+alone], false)
		setVMStatus(ctx, s.vm(ctx, alone), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Eventually(role(ctx, lb, alone)).Should(Equal("Unknown"))
		leaping.Leap(healing.HostLoss)
		setVMStatus(ctx, s.vm(ctx, alone), says(metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable))
		Consistently(s.presumption(ctx, alone), "500ms").ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))
		Expect(s.vms(ctx)).To(HaveLen(1))
	})

	It("keeps others from being replaced that are well, if most hosts are silent", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, _ := s.newPair(ctx)
		fleet := newHosts(ctx, "host-of-"+active, "another-of-"+s.namespace, "a-third-of-"+s.namespace)
		others := []*capstanv1.HyperVHost{fleet["another-of-"+s.namespace], fleet["a-third-of-"+s.namespace]}
		for _, host := range others {
			tellHost(ctx, host, false)
		}
		host := fleet["host-of-"+active]
		testenv.Update(ctx, env, host, func(h *capstanv1.HyperVHost) { h.Spec.Maintenance = capstanv1.MaintenanceDrain })
		Eventually(message(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(And(
			ContainSubstring("repair is held: 2 of 3 hosts do not answer"), ContainSubstring("host "+host.Name+" is being drained")))
		Expect(s.vms(ctx)).To(HaveLen(2))

		for _, host := range others {
			tellHost(ctx, host, true)
		}
		By("looking at it again, as it does by itself after a while")
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) {
			metav1.SetMetaDataAnnotation(&lb.ObjectMeta, "test", "looked at again")
		})
		Eventually(h.namesOfGone(), "30s").Should(Equal([]string{active}))
		Eventually(s.standby(ctx, lb, active)).Should(BeTrue())
	})
})
