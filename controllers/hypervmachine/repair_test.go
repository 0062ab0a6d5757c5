package hypervmachine_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// newHost makes a stand-alone host of the spec's own.
func newHost(ctx context.Context) *capstanv1.HyperVHost {
	host := testenv.NewHyperVHost("hv-" + env.Namespace(ctx, GinkgoT()))
	env.Create(ctx, host)
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(env.Client.Delete(ctx, host))).To(Succeed()) })
	return host
}

// runsOn is what the VirtualMachine controller tells of a VM that runs.
func runsOn(ctx context.Context, vm *capstanv1.VirtualMachine, host *capstanv1.HyperVHost) {
	testenv.Update(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
		vm.Spec.Placement = &capstanv1.Placement{Host: host.Name, Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "Volume1"}}}
	})
	runs(ctx, vm)
	testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Host = host.Name })
}

func declareLost(ctx context.Context, host *capstanv1.HyperVHost, lost bool) {
	testenv.Update(ctx, env, host, func(h *capstanv1.HyperVHost) { h.Spec.Lost = lost })
}

// tellLost is what the VirtualMachine controller tells of a VM that nobody speaks for.
func tellLost(ctx context.Context, vm *capstanv1.VirtualMachine) {
	testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
		conditions.Unknown(vm, capstanv1.ReadyCondition, capstanv1.ReasonHostLost, "nobody speaks for it")
	})
}

// isRun brings a machine to the point where its VM runs on a host, as a node.
func isRun(ctx context.Context, labels map[string]string) (*trio, *capstanv1.VirtualMachine, *capstanv1.HyperVHost) {
	t, vm := begin(ctx, labels)
	host := newHost(ctx)
	runsOn(ctx, vm, host)
	testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Status.NodeRef.Name = m.Name })
	env.ExpectReady(ctx, t.infra)
	return t, vm, host
}

// watch makes a MachineHealthCheck.
func (t *trio) watch(ctx context.Context, cluster string, machines map[string]string) {
	env.Create(ctx, &clusterv1.MachineHealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.machine.Namespace, GenerateName: "check-"},
		Spec:       clusterv1.MachineHealthCheckSpec{ClusterName: cluster, Selector: metav1.LabelSelector{MatchLabels: machines}},
	})
}

func (t *trio) expectLost(ctx context.Context, says string) {
	GinkgoHelper()
	env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionUnknown, capstanv1.ReasonHostLost, Equal("nobody speaks for it"+says))
}

func (t *trio) annotations(ctx context.Context) func() map[string]string {
	return func() map[string]string {
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(t.machine), t.machine)).To(Succeed())
		return t.machine.Annotations
	}
}

func nobodySpeaks(host *capstanv1.HyperVHost) string {
	return "; no HyperVHost speaks for host " + host.Name + ", so it cannot be told that the host is lost: add it again, with spec.lost if it is, or delete the Machine"
}

const asked = "; Cluster API is asked to replace the machine"

var (
	inPool = map[string]string{capstanv1.NodePoolLabel: "shop-linux"}
	member = map[string]string{clusterv1.MachineControlPlaneLabel: ""}
)

var _ = Describe("A HyperVMachine on a host that is lost", func() {
	It("has its Machine remediated, until the host is declared lost no more", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		t.expectLost(ctx, asked)
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonHostLost))

		By("passing on what Cluster API waits for")
		testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) {
			conditions.False(m, clusterv1.MachineOwnerRemediatedCondition, clusterv1.MachineSetMachineRemediationDeferredReason, "others come first")
		})
		t.expectLost(ctx, asked+": others come first")

		By("taking it back")
		declareLost(ctx, host, false)
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("is left alone for mere silence, and because its HyperVHost is gone", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.Unknown(vm, capstanv1.ReadyCondition, capstanv1.ReasonHostUnreachable, "no answer")
		})
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable, Equal("no answer"))
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))

		Expect(env.Client.Delete(ctx, host)).To(Succeed())
		tellLost(ctx, vm)
		t.expectLost(ctx, nobodySpeaks(host))
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("is not asked for any more once its HyperVHost is gone", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		t.expectLost(ctx, asked)
		Expect(env.Client.Delete(ctx, host)).To(Succeed())
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.Unknown(vm, capstanv1.ReadyCondition, capstanv1.ReasonHostLost, "its host is gone")
		})
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionUnknown, capstanv1.ReasonHostLost, Equal("its host is gone"+nobodySpeaks(host)))
	})

	It("waits for a MachineHealthCheck that selects its Machine", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "market", inPool)
		t.watch(ctx, "shop", map[string]string{capstanv1.NodePoolLabel: "shop-windows"})
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		t.expectLost(ctx, "; no MachineHealthCheck selects Machine shop-1, so Cluster API does not replace it: add one, or delete the Machine")
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))
		t.watch(ctx, "shop", inPool)
		t.expectLost(ctx, asked)

		By("somebody excluding the Machine")
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Annotations[clusterv1.MachineSkipRemediationAnnotation] = "" })
		t.expectLost(ctx, "; Cluster API does not replace Machine shop-1 because of its annotation cluster.x-k8s.io/skip-remediation: remove that, or delete the Machine")
		Eventually(t.annotations(ctx)).ShouldNot(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("keeps the annotation that somebody else gave its Machine", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) {
			m.Annotations = map[string]string{clusterv1.RemediateMachineAnnotation: ""}
		})
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		t.expectLost(ctx, asked)
		declareLost(ctx, host, false)
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, ""))
	})

	It("is left to whoever deletes its Machine", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Finalizers = []string{"example.org/held"} })
		DeferCleanup(func(ctx SpecContext) {
			testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Finalizers = nil })
		})
		Expect(env.Client.Delete(ctx, t.machine)).To(Succeed())
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		t.expectLost(ctx, "")
		Expect(t.annotations(ctx)()).NotTo(HaveKey(clusterv1.RemediateMachineAnnotation))
	})

	It("cannot be repaired as the only member of its control plane, and says so", func(ctx SpecContext) {
		t, vm, host := isRun(ctx, member)
		t.watch(ctx, "shop", member)
		declareLost(ctx, host, true)
		tellLost(ctx, vm)
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonCannotRepair,
			And(HavePrefix("nobody speaks for it; the machine is the only member of its control plane"), ContainSubstring("restore the cluster from a backup")))
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonHostLost), "Cluster API is asked, and refuses itself")

		By("passing on why Cluster API refuses, where others are left")
		for i := 2; i <= 3; i++ {
			t.another(ctx, fmt.Sprintf("shop-%d", i))
		}
		testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) {
			conditions.False(m, clusterv1.MachineOwnerRemediatedCondition, "CannotBeRemediated", "shop-2 is not well")
		})
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonCannotRepair, ContainSubstring("refuses to replace the machine (shop-2 is not well)"))
		testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) { conditions.Remove(m, clusterv1.MachineOwnerRemediatedCondition) })
		t.expectLost(ctx, asked)
	})
})

// another makes another member of the control plane, whose VM runs elsewhere.
func (t *trio) another(ctx context.Context, name string) {
	other := &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.machine.Namespace, Name: name, Labels: t.machine.Labels},
		Spec:       *t.machine.Spec.DeepCopy(),
	}
	other.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVMachine", Name: name}
	size, mine := testenv.NewSize(2, "4Gi", "40Gi"), t.vm(ctx)
	env.Create(ctx, other, &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: other.Namespace, Name: name, Labels: mine.Labels},
		Spec: capstanv1.VirtualMachineSpec{
			ClusterName: "shop", Role: capstanv1.RoleControlPlane, OS: mine.Spec.OS, Size: size, Image: mine.Spec.Image,
			Networks: mine.Spec.Networks, BootstrapSecret: name,
		},
	})
	testenv.UpdateStatus(ctx, env, other, func(m *clusterv1.Machine) { m.Status.NodeRef.Name = name })
}
