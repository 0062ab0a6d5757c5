package hypervmachine_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// crew is the machines of one team, the oldest first, each a node that does its work.
type crew struct {
	machines []*clusterv1.Machine
	infra    []*infrav1.HyperVMachine
	vms      []*capstanv1.VirtualMachine
}

// newPool makes a pool of machines of which none may be missing in a roll-out, watched by
// a MachineHealthCheck.
func newPool(ctx context.Context, replicas int, host *capstanv1.HyperVHost, with ...func(*infrav1.HyperVMachineSpec)) *crew {
	first := newTrio(ctx, nil)
	for _, f := range with {
		f(&first.infra.Spec)
	}
	namespace := first.machine.Namespace
	labels := map[string]string{
		clusterv1.ClusterNameLabel: "shop", clusterv1.MachineDeploymentNameLabel: "shop-linux", clusterv1.MachineSetNameLabel: "shop-linux-1",
		capstanv1.NodePoolLabel: "shop-linux",
	}
	deployment := &clusterv1.MachineDeployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux"},
		Spec: clusterv1.MachineDeploymentSpec{
			ClusterName: "shop", Replicas: ptr.To(int32(replicas)),
			Selector: metav1.LabelSelector{MatchLabels: labels},
			Template: clusterv1.MachineTemplateSpec{Spec: *first.machine.Spec.DeepCopy()},
		},
	}
	deployment.Spec.Rollout.Strategy.Type = clusterv1.RollingUpdateMachineDeploymentStrategyType
	deployment.Spec.Rollout.Strategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromInt32(0))
	set := &clusterv1.MachineSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux-1", Labels: labels},
		Spec: clusterv1.MachineSetSpec{
			ClusterName: "shop", Selector: metav1.LabelSelector{MatchLabels: labels},
			Template: clusterv1.MachineTemplateSpec{Spec: *first.machine.Spec.DeepCopy()},
		},
	}
	env.Create(ctx, deployment, set)
	first.watch(ctx, "shop", inPool)
	return first.crew(ctx, labels, metav1.NewControllerRef(set, clusterv1.GroupVersion.WithKind("MachineSet")), replicas, host)
}

func (t *trio) crew(ctx context.Context, labels map[string]string, owner *metav1.OwnerReference, size int, hosts ...*capstanv1.HyperVHost) *crew {
	t.infrastructureProvisioned(ctx)
	c := &crew{}
	for i := range size {
		c.add(ctx, t, fmt.Sprintf("%s-%c", t.cluster.Name, 'a'+i), labels, owner, hosts[i%len(hosts)])
	}
	return c
}

func (c *crew) add(ctx context.Context, t *trio, name string, labels map[string]string, owner *metav1.OwnerReference, host *capstanv1.HyperVHost) {
	machine := &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.machine.Namespace, Name: name, Labels: labels, OwnerReferences: []metav1.OwnerReference{*owner}},
		Spec:       *t.machine.Spec.DeepCopy(),
	}
	machine.Spec.InfrastructureRef.Name = name
	machine.Spec.Bootstrap.DataSecretName = ptr.To("data")
	env.Create(ctx, machine)
	infra := &infrav1.HyperVMachine{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: machine.Namespace, Name: name, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(machine, clusterv1.GroupVersion.WithKind("Machine"))},
		},
		Spec: t.infra.Spec,
	}
	env.Create(ctx, infra)
	vm := testenv.Await(ctx, env, &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: machine.Namespace, Name: name}})
	isOn(ctx, vm, host)
	testenv.UpdateStatus(ctx, env, machine, func(m *clusterv1.Machine) {
		m.Status.NodeRef.Name = name
		conditions.True(m, clusterv1.MachineAvailableCondition, "Available", "")
	})
	env.ExpectReady(ctx, infra)
	c.machines, c.infra, c.vms = append(c.machines, machine), append(c.infra, infra), append(c.vms, vm)
}

// isOn has a VM run on a host.
func isOn(ctx context.Context, vm *capstanv1.VirtualMachine, host *capstanv1.HyperVHost) {
	runsOn(ctx, vm, host)
	testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Host = host.Name })
}

func drain(ctx context.Context, host *capstanv1.HyperVHost, maintenance capstanv1.HostMaintenance) {
	testenv.Update(ctx, env, host, func(h *capstanv1.HyperVHost) { h.Spec.Maintenance = maintenance })
}

func (c *crew) want(ctx context.Context, i int, why string) {
	testenv.Update(ctx, env, c.machines[i], func(m *clusterv1.Machine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, why)
	})
}

func (c *crew) expectAsked(ctx context.Context, i int, reason, says string) {
	GinkgoHelper()
	env.ExpectCondition(ctx, c.infra[i], capstanv1.ReplacingCondition, metav1.ConditionTrue, reason, ContainSubstring(says))
	Expect(c.asked(ctx, i)()).To(Equal(reason))
}

func (c *crew) expectWaits(ctx context.Context, i int, reason, says string) {
	GinkgoHelper()
	env.ExpectCondition(ctx, c.infra[i], capstanv1.ReplacingCondition, metav1.ConditionFalse, reason, ContainSubstring(says))
	Expect(c.asked(ctx, i)()).To(BeEmpty())
}

// asked is the reason for which Cluster API is asked to replace a machine, or "".
func (c *crew) asked(ctx context.Context, i int) func() string {
	return func() string {
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.machines[i]), c.machines[i])).To(Succeed())
		return c.machines[i].Annotations[clusterv1.RemediateMachineAnnotation]
	}
}

func (c *crew) isLeftAlone(ctx context.Context, i int) {
	GinkgoHelper()
	Eventually(func() *metav1.Condition {
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.infra[i]), c.infra[i])).To(Succeed())
		return conditions.Get(c.infra[i], capstanv1.ReplacingCondition)
	}).Should(BeNil())
	Eventually(c.asked(ctx, i)).Should(BeEmpty())
}

// goes takes a machine away, as Cluster API does.
func (c *crew) goes(ctx context.Context, i int) {
	Expect(env.Client.Delete(ctx, c.machines[i])).To(Succeed())
	Eventually(func() error { return env.Client.Get(ctx, client.ObjectKeyFromObject(c.machines[i]), c.machines[i]) }).ShouldNot(Succeed())
}

func setAvailable(ctx context.Context, machine *clusterv1.Machine, is bool) {
	testenv.UpdateStatus(ctx, env, machine, func(m *clusterv1.Machine) {
		if is {
			conditions.True(m, clusterv1.MachineAvailableCondition, "Available", "")
			return
		}
		conditions.False(m, clusterv1.MachineAvailableCondition, "NotReady", "")
	})
}

var _ = Describe("The machines of a pool on a host that is being drained", func() {
	It("are replaced one after the other, and stay when that is undone", func(ctx SpecContext) {
		host, other := newHost(ctx), newHost(ctx)
		c := newPool(ctx, 3, host)
		testenv.UpdateStatus(ctx, env, c.vms[1], func(vm *capstanv1.VirtualMachine) { vm.Status.Host = other.Name })
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectAsked(ctx, 0, capstanv1.ReasonHostDraining, "host "+host.Name+" is being drained; Cluster API is asked to replace the machine")
		c.expectWaits(ctx, 2, capstanv1.ReasonWaitingForTurn, "of its pool 1 of 3 machines may be missing: waiting for shop-a to go")
		c.isLeftAlone(ctx, 1)
		env.ExpectReady(ctx, c.infra[0])

		By("not before the successor does its work")
		c.goes(ctx, 0)
		c.expectWaits(ctx, 2, capstanv1.ReasonWaitingForTurn, "of its pool 1 of 3 machines may be missing: others come first")
		Consistently(c.asked(ctx, 2), "500ms").Should(BeEmpty())

		By("taking back what has not begun")
		drain(ctx, host, "")
		c.isLeftAlone(ctx, 2)
	})

	It("are followed where their failover cluster moves them", func(ctx SpecContext) {
		host, other := newHost(ctx), newHost(ctx)
		c := newPool(ctx, 1, host)
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectAsked(ctx, 0, capstanv1.ReasonHostDraining, "is being drained")
		testenv.UpdateStatus(ctx, env, c.vms[0], func(vm *capstanv1.VirtualMachine) { vm.Status.Host = other.Name })
		c.isLeftAlone(ctx, 0)
	})

	It("stay where somebody has moved them by hand", func(ctx SpecContext) {
		host := newHost(ctx)
		c := newPool(ctx, 1, host)
		testenv.UpdateStatus(ctx, env, c.vms[0], func(vm *capstanv1.VirtualMachine) {
			conditions.Unknown(vm, capstanv1.ReadyCondition, capstanv1.ReasonMovedElsewhere, "somebody has moved it to host hv9")
		})
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectWaits(ctx, 0, capstanv1.ReasonCannotReplace, "somebody has moved it to host hv9")
		Consistently(c.asked(ctx, 0), "500ms").Should(BeEmpty())
	})

	It("stay as long as others would have no place", func(ctx SpecContext) {
		host := newHost(ctx)
		image := testenv.NewVMImage("image-"+host.Name, testenv.Version)
		network := testenv.NewLogicalNetwork("net-" + host.Name)
		env.Create(ctx, image, network)
		c := newPool(ctx, 1, host, func(spec *infrav1.HyperVMachineSpec) {
			spec.Image, spec.Networks = image.Name, []capstanv1.VMNetwork{{LogicalNetwork: network.Name}}
		})
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForRoom, "another one would have no place: all hosts are being drained")
		Eventually(func() any { return events.Of(c.machines[0].UID) }).Should(ConsistOf(HaveField("Reason", capstanv1.ReasonWaitingForRoom)))
		drain(ctx, host, "")
		c.isLeftAlone(ctx, 0)
	})

	It("go on as soon as others are ready again", func(ctx SpecContext) {
		host := newHost(ctx)
		c := newPool(ctx, 2, host)
		setAvailable(ctx, c.machines[1], false)
		c.want(ctx, 0, "")
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForTurn, "waiting for shop-b to be ready")
		setAvailable(ctx, c.machines[1], true)
		c.expectAsked(ctx, 0, capstanv1.ReasonReplaceRequested, "asks for another machine")
	})
})

var _ = Describe("A Machine that somebody wants to be replaced", func() {
	It("is replaced at its turn, and not once nobody wants it any more", func(ctx SpecContext) {
		c := newPool(ctx, 2, newHost(ctx))
		c.want(ctx, 1, "its disk is slow")
		c.expectAsked(ctx, 1, capstanv1.ReasonReplaceRequested, "annotation capstan.dev/replace asks for another machine (its disk is slow)")
		c.isLeftAlone(ctx, 0)
		testenv.Update(ctx, env, c.machines[1], func(m *clusterv1.Machine) { delete(m.Annotations, capstanv1.ReplaceAnnotation) })
		c.isLeftAlone(ctx, 1)
	})

	It("keeps what somebody else asked of Cluster API", func(ctx SpecContext) {
		c := newPool(ctx, 1, newHost(ctx))
		testenv.Update(ctx, env, c.machines[0], func(m *clusterv1.Machine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, clusterv1.RemediateMachineAnnotation, "by hand")
		})
		c.want(ctx, 0, "")
		env.ExpectCondition(ctx, c.infra[0], capstanv1.ReplacingCondition, metav1.ConditionTrue, capstanv1.ReasonReplaceRequested, Not(BeEmpty()))
		testenv.Update(ctx, env, c.machines[0], func(m *clusterv1.Machine) { delete(m.Annotations, capstanv1.ReplaceAnnotation) })
		Eventually(func() *metav1.Condition {
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.infra[0]), c.infra[0])).To(Succeed())
			return conditions.Get(c.infra[0], capstanv1.ReplacingCondition)
		}).Should(BeNil())
		Expect(c.asked(ctx, 0)()).To(Equal("by hand"))
	})

	It("is not replaced as the only member of its control plane, which is told", func(ctx SpecContext) {
		c := newControlPlane(ctx, 1, newHost(ctx))
		c.want(ctx, 0, "")
		c.expectWaits(ctx, 0, capstanv1.ReasonCannotReplace, "the only member of its control plane")
		env.ExpectReady(ctx, c.infra[0])
		Eventually(func() any { return events.Of(c.machines[0].UID) }).Should(ConsistOf(And(
			HaveField("Type", corev1.EventTypeWarning), HaveField("Reason", capstanv1.ReasonCannotReplace), HaveField("Note", ContainSubstring("the only member of its control plane")))))
	})

	It("is not replaced where nobody would make another, which is told", func(ctx SpecContext) {
		t, _, _ := isRun(ctx, inPool)
		t.watch(ctx, "shop", inPool)
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, "")
		})
		env.ExpectCondition(ctx, t.infra, capstanv1.ReplacingCondition, metav1.ConditionFalse, capstanv1.ReasonCannotReplace, ContainSubstring("owns Machine shop-1"))
	})

	It("waits for a MachineHealthCheck", func(ctx SpecContext) {
		t, _, _ := isRun(ctx, inPool)
		testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, "")
		})
		env.ExpectCondition(ctx, t.infra, capstanv1.ReplacingCondition, metav1.ConditionFalse, capstanv1.ReasonCannotReplace, ContainSubstring("no MachineHealthCheck selects Machine shop-1"))
	})
})

var _ = Describe("Machines that somebody wants to be replaced while most hosts are silent", func() {
	It("stay until that is over, and are asked for no more", func(ctx SpecContext) {
		host := newHost(ctx)
		more := others(ctx)
		tell(ctx, host, answers)
		c := newPool(ctx, 1, host)
		c.want(ctx, 0, "before")
		c.expectAsked(ctx, 0, capstanv1.ReasonReplaceRequested, "before")
		for _, away := range more {
			tell(ctx, away, isSilent)
		}
		lookUntil(ctx, c.machines[0], c.infra[0], capstanv1.ReasonRepairHeld)
		c.want(ctx, 0, "meanwhile")
		c.expectWaits(ctx, 0, capstanv1.ReasonRepairHeld, "(meanwhile); repair is held: 2 of 3 hosts do not answer")
		for _, back := range more {
			tell(ctx, back, answers)
		}
		lookUntil(ctx, c.machines[0], c.infra[0], capstanv1.ReasonReplaceRequested)
		c.expectAsked(ctx, 0, capstanv1.ReasonReplaceRequested, "Cluster API is asked to replace the machine")
	})
})
