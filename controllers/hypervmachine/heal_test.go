package hypervmachine_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// tell writes what the host's controller reports of a host.
func tell(ctx context.Context, host *capstanv1.HyperVHost, says func(*capstanv1.HyperVHost)) {
	reported := testenv.NewHyperVHost(host.Name).Status
	testenv.UpdateStatus(ctx, env, host, func(h *capstanv1.HyperVHost) {
		was := h.Status.Conditions
		h.Status = *reported.DeepCopy()
		h.Status.Conditions = was
		says(h)
	})
}

func answers(h *capstanv1.HyperVHost) {
	conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "it answers")
}

func isSilent(h *capstanv1.HyperVHost) {
	conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "no answer")
}

func hasFault(fault string) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) {
		answers(h)
		since := metav1.Now()
		h.Status.Volumes[0].Fault, h.Status.Volumes[0].FaultSince = fault, &since
	}
}

// others make two more hosts that answer: what is gone is not most of what there is.
func others(ctx context.Context) []*capstanv1.HyperVHost {
	hosts := []*capstanv1.HyperVHost{newHost(ctx), newHost(ctx)}
	for _, host := range hosts {
		tell(ctx, host, answers)
	}
	return hosts
}

func (t *trio) tellNode(ctx context.Context, status metav1.ConditionStatus, reason string) {
	testenv.UpdateStatus(ctx, env, t.cluster, func(c *clusterv1.Cluster) {
		conditions.True(c, clusterv1.ClusterRemoteConnectionProbeCondition, clusterv1.ClusterRemoteConnectionProbeSucceededReason, "")
	})
	testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) {
		m.Status.Conditions = []metav1.Condition{{Type: clusterv1.MachineNodeReadyCondition, Status: status, Reason: reason, LastTransitionTime: metav1.Now()}}
	})
}

func (t *trio) expectCause(ctx context.Context, status metav1.ConditionStatus, reason, says string) {
	GinkgoHelper()
	env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, status, reason, ContainSubstring(says))
}

// sees waits until the controller has seen all that was told of a host before: it tells of
// what is told of it last.
func (t *trio) sees(ctx context.Context, host *capstanv1.HyperVHost) {
	GinkgoHelper()
	drain(ctx, host, capstanv1.MaintenanceDrain)
	env.ExpectCondition(ctx, t.infra, capstanv1.ReplacingCondition, metav1.ConditionFalse, capstanv1.ReasonCannotReplace, ContainSubstring(host.Name+" is being drained"))
	drain(ctx, host, "")
	Eventually(func() *metav1.Condition {
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(t.infra), t.infra)).To(Succeed())
		return conditions.Get(t.infra, capstanv1.ReplacingCondition)
	}).Should(BeNil())
}

// seesMachine waits likewise for what was told of the Machine.
func (t *trio) seesMachine(ctx context.Context) {
	GinkgoHelper()
	t.annotations(ctx)()
	look := "look at " + t.machine.ResourceVersion
	testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, look)
	})
	Eventually(testenv.Get(ctx, env, t.infra)).Should(HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", capstanv1.ReplacingCondition), HaveField("Message", ContainSubstring(look))))))
}

// lookUntil has the controller look at a machine until it tells that of its replacement: what
// it knows of the hosts may be late, and of an outage it is told by no event of the machine's.
func lookUntil(ctx context.Context, machine *clusterv1.Machine, infra *infrav1.HyperVMachine, reason string) {
	GinkgoHelper()
	looks := 0
	Eventually(func(g Gomega) {
		looks++
		testenv.Update(ctx, env, machine, func(m *clusterv1.Machine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, fmt.Sprintf("look %d", looks))
		})
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(infra), infra)).To(Succeed())
		g.Expect(conditions.Get(infra, capstanv1.ReplacingCondition)).To(HaveValue(HaveField("Reason", reason)))
	}).WithContext(ctx).WithPolling(100 * time.Millisecond).Should(Succeed())
}

// heals reads the metric of that name.
func heals(cause string) float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if family.GetName() == "capstan_heals_total" && series.GetLabel()[0].GetValue() == cause {
				return series.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func presumption(ctx context.Context, vm *capstanv1.VirtualMachine) func() map[string]string {
	return func() map[string]string {
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(vm), vm)).To(Succeed())
		return vm.Annotations
	}
}

var _ = Describe("A HyperVMachine with a disk on a volume that has a fault", func() {
	It("has its Machine remediated, until the fault clears", func(ctx SpecContext) {
		t, _, host := isRun(ctx, inPool)
		others(ctx)
		t.watch(ctx, "shop", inPool)
		tell(ctx, host, hasFault("Redirected"))
		env.ExpectReady(ctx, t.infra)
		counted := heals(capstanv1.ReasonVolumeFault)
		tell(ctx, host, hasFault("Dismounted"))
		t.expectCause(ctx, metav1.ConditionFalse, capstanv1.ReasonVolumeFault, "volume Volume1 with disk boot is Dismounted on host "+host.Name)
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonVolumeFault))

		Eventually(func() float64 { return heals(capstanv1.ReasonVolumeFault) }).Should(Equal(counted + 1))

		By("the host falling silent: what it said last counts no more")
		tell(ctx, host, func(h *capstanv1.HyperVHost) { hasFault("Dismounted")(h); isSilent(h) })
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
		tell(ctx, host, hasFault("NoAccess"))
		Eventually(t.annotations(ctx)).Should(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonVolumeFault))

		By("the fault clearing")
		tell(ctx, host, answers)
		env.ExpectReady(ctx, t.infra)
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("cannot be repaired as the only member of its control plane, and says so", func(ctx SpecContext) {
		t, _, host := isRun(ctx, member)
		others(ctx)
		t.watch(ctx, "shop", member)
		tell(ctx, host, hasFault("NoAccess"))
		t.expectCause(ctx, metav1.ConditionFalse, capstanv1.ReasonCannotRepair, "restore the cluster from a backup, or bring the volume back")
	})
})

var _ = Describe("A HyperVMachine on a host that is silent", func() {
	It("is replaced as one on a lost host once its node is not heard of either, until one of them is", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		others(ctx)
		t.watch(ctx, "shop", inPool)
		tell(ctx, host, isSilent)
		t.sees(ctx, host)
		t.tellNode(ctx, metav1.ConditionTrue, clusterv1.MachineNodeReadyReason)
		t.seesMachine(ctx)
		Consistently(t.annotations(ctx), "500ms").ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
		t.tellNode(ctx, metav1.ConditionUnknown, clusterv1.MachineNodeConnectionDownReason)
		t.seesMachine(ctx)
		Consistently(t.annotations(ctx), "500ms").ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))

		t.tellNode(ctx, metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonHostLost, "Cluster API is asked to replace the machine")
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonHostLost))
		Eventually(presumption(ctx, vm)).Should(HaveKey(capstanv1.PresumedLostAnnotation))

		tell(ctx, host, answers)
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
		Eventually(presumption(ctx, vm)).ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))
	})

	It("does not wait for it when somebody deletes its Machine", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		others(ctx)
		testenv.Update(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Finalizers = []string{"example.org/held"} })
		DeferCleanup(func(ctx SpecContext) {
			testenv.Update(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Finalizers = nil })
		})
		tell(ctx, host, isSilent)
		t.tellNode(ctx, metav1.ConditionTrue, clusterv1.MachineNodeReadyReason)
		Expect(env.Client.Delete(ctx, t.infra)).To(Succeed())
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonDeleting, And(
			HavePrefix("waiting for the virtual machine to go: host "+host.Name+" does not answer, since "),
			HaveSuffix("set spec.lost to true on HyperVHost "+host.Name)))
		Consistently(presumption(ctx, vm), "500ms").ShouldNot(HaveKey(capstanv1.PresumedLostAnnotation))
		t.tellNode(ctx, metav1.ConditionFalse, clusterv1.MachineNodeNotReadyReason)
		Eventually(presumption(ctx, vm)).Should(HaveKey(capstanv1.PresumedLostAnnotation))
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonDeleting, HaveSuffix("; it is presumed lost"))
	})
})

var _ = Describe("Everything fails at once", func() {
	It("has repair held, which goes on when the hosts are back", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		more := others(ctx)
		t.tellNode(ctx, metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason)
		tell(ctx, more[0], isSilent)
		tell(ctx, host, isSilent)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonRepairHeld, "repair is held: 2 of 3 hosts do not answer; it goes on when that is over, or at ")
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))
		Eventually(t.annotations(ctx)).Should(HaveKeyWithValue(clusterv1.MachineSkipRemediationAnnotation, capstanv1.ReasonRepairHeld), "nor does Cluster API replace it by itself")
		Expect(presumption(ctx, vm)()).NotTo(HaveKey(capstanv1.PresumedLostAnnotation))

		By("the administrator declaring a loss, which nothing holds")
		declareLost(ctx, host, true)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonHostLost, "Cluster API is asked to replace the machine")
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.MachineSkipRemediationAnnotation))
		declareLost(ctx, host, false)
		tell(ctx, more[1], isSilent)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonRepairHeld, "3 of 3 hosts do not answer")

		By("the hosts coming back")
		for _, back := range more {
			tell(ctx, back, answers)
		}
		tell(ctx, host, answers)
		env.ExpectReady(ctx, t.infra)
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.MachineSkipRemediationAnnotation))
	})

	It("keeps Cluster API from what it finds itself, where nothing else is known of a machine", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		tell(ctx, host, answers)
		more := others(ctx)
		t.tellNode(ctx, metav1.ConditionTrue, clusterv1.MachineNodeReadyReason)
		for _, away := range more {
			tell(ctx, away, isSilent)
		}
		lookUntil(ctx, t.machine, t.infra, capstanv1.ReasonRepairHeld)
		env.ExpectReady(ctx, t.infra)
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.MachineSkipRemediationAnnotation), "its node is ready")

		t.tellNode(ctx, metav1.ConditionFalse, clusterv1.MachineNodeNotReadyReason)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonRepairHeld, "repair is held: 2 of 3 hosts do not answer")
		Eventually(t.annotations(ctx)).Should(HaveKeyWithValue(clusterv1.MachineSkipRemediationAnnotation, capstanv1.ReasonRepairHeld))

		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonPoweredOff, "it is off")
		})
		t.expectCause(ctx, metav1.ConditionFalse, capstanv1.ReasonRepairHeld, "it is off; repair is held: 2 of 3 hosts do not answer")
		runs(ctx, vm)
		t.tellNode(ctx, metav1.ConditionTrue, clusterv1.MachineNodeReadyReason)
		env.ExpectReady(ctx, t.infra)
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.MachineSkipRemediationAnnotation))
	})

	It("keeps Cluster API from a machine that is not a node yet, which goes on telling its way", func(ctx SpecContext) {
		t, vm := begin(ctx, inPool)
		host := newHost(ctx)
		tell(ctx, host, answers)
		for _, away := range others(ctx) {
			tell(ctx, away, isSilent)
		}
		lookUntil(ctx, t.machine, t.infra, capstanv1.ReasonRepairHeld)
		runsOn(ctx, vm, host)
		Eventually(t.annotations(ctx)).Should(HaveKeyWithValue(clusterv1.MachineSkipRemediationAnnotation, capstanv1.ReasonRepairHeld))
		env.ExpectReady(ctx, t.infra)
	})

	It("leaves alone what somebody else has excluded", func(ctx SpecContext) {
		t, _, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) {
			m.Annotations = map[string]string{clusterv1.MachineSkipRemediationAnnotation: "mine"}
		})
		t.tellNode(ctx, metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason)
		tell(ctx, host, isSilent)
		t.expectCause(ctx, metav1.ConditionUnknown, capstanv1.ReasonRepairHeld, "1 of 1 hosts")
		tell(ctx, host, answers)
		env.ExpectReady(ctx, t.infra)
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.MachineSkipRemediationAnnotation, "mine"))
	})
})

var _ = Describe("A HyperVMachine whose VM somebody has removed from its host", func() {
	It("has its Machine remediated, unless it is there again", func(ctx SpecContext) {
		t, vm, _ := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonVMNotFound, "it is not there")
		})
		t.expectCause(ctx, metav1.ConditionFalse, capstanv1.ReasonVMNotFound, "Cluster API is asked to replace the machine")
		Expect(t.infra.Status.Fault).To(HaveValue(HaveField("Reason", capstanv1.ReasonVMNotFound)))
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonVMNotFound))
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Expect(t.infra.Status.Fault).To(BeNil())
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("is left alone while it is merely off, or its guest silent", func(ctx SpecContext) {
		t, vm, _ := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		for _, reason := range []string{capstanv1.ReasonPoweredOff, capstanv1.ReasonWaitingForGuest, capstanv1.ReasonVMFailed} {
			testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
				conditions.False(vm, capstanv1.ReadyCondition, reason, "it does not run")
				at := metav1.NewTime(metav1.Now().Add(-time.Hour))
				conditions.Get(vm, capstanv1.ReadyCondition).LastTransitionTime = at
			})
			t.expectCause(ctx, metav1.ConditionFalse, reason, "it does not run")
			Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))
		}
	})
})
