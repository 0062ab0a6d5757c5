package hypervmachine_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/hypervmachine"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestHyperVMachine(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "HyperVMachine controller")
}

var (
	env    *testenv.Env
	events testenv.Recorder
)

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&hypervmachine.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events, Clock: clock.RealClock{},
				Outages: outage.NewWatch(outage.Timeouts{HostLoss: time.Millisecond, VolumeFault: time.Millisecond, MissingVM: time.Millisecond, Hold: time.Hour}),
			},
		}
	})
})

// trio is a Cluster, a Machine and its HyperVMachine.
type trio struct {
	cluster *clusterv1.Cluster
	machine *clusterv1.Machine
	infra   *infrav1.HyperVMachine
}

func newTrio(ctx context.Context, labels map[string]string) *trio {
	namespace := env.Namespace(ctx, GinkgoT())
	ref := func(kind, name string) clusterv1.ContractVersionedObjectReference {
		return clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: kind, Name: name}
	}
	all := map[string]string{clusterv1.ClusterNameLabel: "shop"}
	for k, v := range labels {
		all[k] = v
	}
	t := &trio{
		cluster: &clusterv1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec:       clusterv1.ClusterSpec{InfrastructureRef: ref("HyperVCluster", "shop")},
		},
		machine: &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-1", Labels: all},
			Spec: clusterv1.MachineSpec{
				ClusterName: "shop", Version: testenv.Version, FailureDomain: "rack-a", InfrastructureRef: ref("HyperVMachine", "shop-1"),
				Bootstrap: clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: bootstrapv1.GroupVersion.Group, Kind: "KubeadmConfig", Name: "shop-1",
				}},
			},
		},
		infra: &infrav1.HyperVMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-1", Labels: all},
			Spec:       infrav1.HyperVMachineSpec{Image: "linux", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}},
		},
	}
	env.Create(ctx, t.cluster, t.machine, t.infra)
	return t
}

func (t *trio) own(ctx context.Context) {
	testenv.Update(ctx, env, t.infra, func(i *infrav1.HyperVMachine) {
		i.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(t.machine, clusterv1.GroupVersion.WithKind("Machine"))}
	})
}

func (t *trio) infrastructureProvisioned(ctx context.Context) {
	testenv.UpdateStatus(ctx, env, t.cluster, func(c *clusterv1.Cluster) { c.Status.Initialization.InfrastructureProvisioned = ptr.To(true) })
}

func (t *trio) bootstrapped(ctx context.Context) {
	testenv.Update(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Spec.Bootstrap.DataSecretName = ptr.To("shop-1-data") })
}

// begin brings a machine to the point where it has a VM.
func begin(ctx context.Context, labels map[string]string) (*trio, *capstanv1.VirtualMachine) {
	t := newTrio(ctx, labels)
	t.own(ctx)
	t.infrastructureProvisioned(ctx)
	t.bootstrapped(ctx)
	return t, t.vm(ctx)
}

func (t *trio) vm(ctx context.Context) *capstanv1.VirtualMachine {
	GinkgoHelper()
	return testenv.Await(ctx, env, &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: t.infra.Namespace, Name: t.infra.Name}})
}

func runs(ctx context.Context, vm *capstanv1.VirtualMachine) {
	testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
		vm.Status.Host, vm.Status.FailureDomain, vm.Status.Volumes, vm.Status.Addresses = "hv1", "rack-a", "Volume1", []string{"10.20.0.10"}
		conditions.True(vm, capstanv1.ReadyCondition, capstanv1.ReasonRunning, "it runs")
	})
}

func (t *trio) expect(ctx context.Context, reason, message string) {
	env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, reason, Equal(message))
}

func vmsIn(ctx context.Context, namespace string) int {
	list := &capstanv1.VirtualMachineList{}
	Expect(env.Client.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return len(list.Items)
}

var _ = Describe("A HyperVMachine", func() {
	It("fulfils the contract for infrastructure machines", func(ctx SpecContext) {
		t := newTrio(ctx, nil)
		t.expect(ctx, capstanv1.ReasonWaitingForCluster, "waiting for a Machine to own this HyperVMachine")
		t.own(ctx)
		t.expect(ctx, capstanv1.ReasonWaitingForClusterInfra, "waiting for the cluster's load balancer")
		t.infrastructureProvisioned(ctx)
		t.expect(ctx, capstanv1.ReasonWaitingForBootstrapData, "waiting for the first control-plane machine to be up")
		Expect(vmsIn(ctx, t.infra.Namespace)).To(BeZero(), "nothing is created before its bootstrap data is there")
		Expect(t.infra.Finalizers).To(BeEmpty())

		t.bootstrapped(ctx)
		vm := t.vm(ctx)
		Expect(metav1.IsControlledBy(vm, t.infra)).To(BeTrue())
		Expect(vm.Spec.ID).To(Equal(string(t.infra.UID)), "identity before effect")
		Expect(vm.Spec.Role).To(Equal(capstanv1.RoleWorker))
		Expect(vm.Spec.BootstrapSecret).To(Equal("shop-1-data"))
		Expect(vm.Spec.FailureDomain).To(Equal("rack-a"), "the Machine's is binding")
		Expect(vm.Spec.RetireSeed).To(BeFalse())
		t.expect(ctx, capstanv1.ReasonWaitingForVirtualMachine, "waiting for VirtualMachine shop-1 to run")
		Expect(t.infra.Finalizers).To(ConsistOf(infrav1.HyperVMachineFinalizer))
		Expect(t.infra.Spec.ProviderID).To(Equal("hyperv://" + string(t.infra.UID)))
		Expect(t.infra.Status.Initialization.Provisioned).To(BeNil())

		By("passing on why the VM is not there")
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonOutOfCapacity, "4Gi of memory asked, hv1 has 1Gi")
		})
		t.expect(ctx, capstanv1.ReasonOutOfCapacity, "4Gi of memory asked, hv1 has 1Gi")

		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Expect(t.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
		Expect(t.infra.Status.Addresses).To(ConsistOf(
			clusterv1.MachineAddress{Type: clusterv1.MachineInternalIP, Address: "10.20.0.10"},
			clusterv1.MachineAddress{Type: clusterv1.MachineHostName, Address: "shop-1"},
		))
		Expect(t.infra.Status.FailureDomain).To(Equal("rack-a"))
		Expect(t.infra.Status.Host).To(Equal("hv1"))
		Eventually(func() []string { return events.Reasons(t.infra.UID) }).Should(ContainElements(capstanv1.ReasonOutOfCapacity, capstanv1.ReasonReady))

		By("retiring the seed once the node is up")
		testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Status.NodeRef.Name = "shop-1" })
		Eventually(testenv.Get(ctx, env, vm)).WithContext(ctx).Should(HaveField("Spec.RetireSeed", true))

		By("passing on what could not be observed as just that, and never taking provisioned back")
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.Unknown(vm, capstanv1.ReadyCondition, capstanv1.ReasonHostUnreachable, "hv1 does not answer")
		})
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable, Equal("hv1 does not answer"))
		Expect(t.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
	})

	It("tells why its guest does not become a node, until there is one", func(ctx SpecContext) {
		t, vm := begin(ctx, nil)
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		report := func(of *capstanv1.GuestReport) {
			testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Guest = of })
		}

		By("not holding it against the machine that it takes long")
		report(&capstanv1.GuestReport{Initialization: capstanv1.GuestInitializationRunning, Stage: "modules:final", ObservedTime: metav1.Now()})
		const slow = "waiting for the guest on hv1 to become a node: its first configuration is under way in stage modules:final"
		env.ExpectCondition(ctx, t.infra, capstanv1.BootstrappedCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForNode, Equal(slow))
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionTrue, capstanv1.ReasonReady, Equal("the virtual machine runs on hv1; "+slow))

		report(&capstanv1.GuestReport{
			Initialization: capstanv1.GuestInitializationFailed, Stage: "modules:final", ObservedTime: metav1.Now(),
			Console: []string{"[ERROR CRI]: no such file or directory", "error: error execution phase preflight: preflight checks failed"},
		})
		const failed = "the guest on hv1 does not become a node: its first configuration has failed in stage modules:final. On its console:\n" +
			"[ERROR CRI]: no such file or directory\nerror: error execution phase preflight: preflight checks failed"
		t.expect(ctx, capstanv1.ReasonBootstrapFailed, failed)
		env.ExpectCondition(ctx, t.infra, capstanv1.BootstrappedCondition, metav1.ConditionFalse, capstanv1.ReasonBootstrapFailed, Equal(failed))
		Eventually(func() []string { return events.Reasons(t.infra.UID) }).Should(ContainElement(capstanv1.ReasonBootstrapFailed))
		Expect(t.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))

		By("saying nothing of it once there is a node")
		testenv.UpdateStatus(ctx, env, t.machine, func(m *clusterv1.Machine) { m.Status.NodeRef.Name = "shop-1" })
		env.ExpectReady(ctx, t.infra)
		Expect(conditions.Get(t.infra, capstanv1.BootstrappedCondition)).To(BeNil())
	})

	It("is provisioned, for its node to be looked for, though its guest is known to have failed by then", func(ctx SpecContext) {
		t, vm := begin(ctx, nil)
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			vm.Status.Host, vm.Status.Addresses = "hv1", []string{"10.20.0.10"}
			vm.Status.Guest = &capstanv1.GuestReport{Initialization: capstanv1.GuestInitializationFailed, ObservedTime: metav1.Now()}
			conditions.True(vm, capstanv1.ReadyCondition, capstanv1.ReasonRunning, "it runs")
		})
		t.expect(ctx, capstanv1.ReasonBootstrapFailed, "the guest on hv1 does not become a node: its first configuration has failed")
		Expect(t.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
	})

	It("of the control plane is kept apart from its fellows", func(ctx SpecContext) {
		t, vm := begin(ctx, map[string]string{clusterv1.MachineControlPlaneLabel: "", capstanv1.WorkloadClusterLabel: "shop"})
		Expect(vm.Spec.Role).To(Equal(capstanv1.RoleControlPlane))
		Expect(vm.Spec.Group).To(Equal(t.infra.Namespace + "/shop/control-plane"))
		Expect(vm.Labels).To(And(HaveKeyWithValue(capstanv1.WorkloadClusterLabel, "shop"), HaveKeyWithValue(capstanv1.RoleLabel, "controlplane"), HaveKeyWithValue(clusterv1.ClusterNameLabel, "shop")))
	})

	It("whose VM is gone is not given another, which would be a machine without its data", func(ctx SpecContext) {
		t, vm := begin(ctx, nil)
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		t.expect(ctx, capstanv1.ReasonVMNotFound, "the VirtualMachine is gone; no MachineHealthCheck selects Machine shop-1, so Cluster API does not replace it: add one, or delete the Machine")
		Expect(vmsIn(ctx, t.infra.Namespace)).To(BeZero())

		t.watch(ctx, "shop", map[string]string{clusterv1.ClusterNameLabel: "shop"})
		t.expect(ctx, capstanv1.ReasonVMNotFound, "the VirtualMachine is gone; Cluster API is asked to replace the machine")
		Expect(t.annotations(ctx)()).To(HaveKeyWithValue(clusterv1.RemediateMachineAnnotation, capstanv1.ReasonVMNotFound))
	})

	It("that was never up gets its VM again, with the same identity", func(ctx SpecContext) {
		_, vm := begin(ctx, nil)
		was, id := vm.UID, vm.Spec.ID
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		Eventually(testenv.Get(ctx, env, vm)).WithContext(ctx).Should(And(HaveField("UID", Not(Equal(was))), HaveField("Spec.ID", id)))
	})

	// clusterctl move makes the object again, with another UID.
	It("keeps its identity when it is moved", func(ctx SpecContext) {
		const id = "11111111-2222-4333-8444-555555555555"
		t := newTrio(ctx, nil)
		testenv.Update(ctx, env, t.infra, func(i *infrav1.HyperVMachine) { i.Spec.ProviderID = "hyperv://" + id })
		t.own(ctx)
		t.infrastructureProvisioned(ctx)
		t.bootstrapped(ctx)
		vm := t.vm(ctx)
		Expect(vm.Spec.ID).To(Equal(id))
		runs(ctx, vm)
		env.ExpectReady(ctx, t.infra)
		Expect(t.infra.Spec.ProviderID).To(Equal("hyperv://" + id))
	})

	It("does not adopt a VirtualMachine that is somebody else's", func(ctx SpecContext) {
		t := newTrio(ctx, nil)
		foreign := &capstanv1.VirtualMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: t.infra.Namespace, Name: t.infra.Name},
			Spec: capstanv1.VirtualMachineSpec{
				ClusterName: "other", Role: capstanv1.RoleWorker, Size: testenv.NewSize(2, "4Gi", "40Gi"), Image: "linux", Networks: t.infra.Spec.Networks,
			},
		}
		env.Create(ctx, foreign)
		t.own(ctx)
		t.infrastructureProvisioned(ctx)
		t.bootstrapped(ctx)
		env.ExpectCondition(ctx, t.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonConflict, ContainSubstring("exists and was not made for shop-1: it is left alone"))
		Expect(t.infra.Spec.ProviderID).To(Equal("hyperv://"+string(t.infra.UID)), "its own identity, not the other's")
		Expect(t.infra.Status.Initialization.Provisioned).To(BeNil())
		Expect(env.Client.Delete(ctx, t.infra)).To(Succeed())
		env.ExpectGone(ctx, t.infra)
		version := foreign.ResourceVersion
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	DescribeTable("stands still while it is paused, and says so",
		func(ctx SpecContext, pause, resume func(context.Context, *trio)) {
			t := newTrio(ctx, nil)
			pause(ctx, t)
			env.ExpectCondition(ctx, t.infra, clusterv1.PausedCondition, metav1.ConditionTrue, clusterv1.PausedReason, Not(BeEmpty()))
			t.own(ctx)
			t.infrastructureProvisioned(ctx)
			t.bootstrapped(ctx)
			By("giving another machine its VM, so that this one had its turn")
			begin(ctx, nil)
			Expect(vmsIn(ctx, t.infra.Namespace)).To(BeZero())
			resume(ctx, t)
			t.vm(ctx)
			Eventually(testenv.Get(ctx, env, t.infra)).WithContext(ctx).Should(WithTransform(
				func(i *infrav1.HyperVMachine) string { return conditions.Get(i, clusterv1.PausedCondition).Reason }, Equal(clusterv1.NotPausedReason)))
		},
		Entry("by its Cluster",
			func(ctx context.Context, t *trio) {
				testenv.Update(ctx, env, t.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(true) })
			},
			func(ctx context.Context, t *trio) {
				testenv.Update(ctx, env, t.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(false) })
			}),
		Entry("by its annotation, even before any Machine owns it",
			func(ctx context.Context, t *trio) {
				testenv.Update(ctx, env, t.infra, func(i *infrav1.HyperVMachine) { i.Annotations = map[string]string{clusterv1.PausedAnnotation: ""} })
			},
			func(ctx context.Context, t *trio) {
				testenv.Update(ctx, env, t.infra, func(i *infrav1.HyperVMachine) { i.Annotations = nil })
			}),
	)

	It("is held until its VM is confirmed to be gone", func(ctx SpecContext) {
		t, vm := begin(ctx, nil)
		testenv.Update(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Finalizers = []string{capstanv1.VirtualMachineFinalizer} })
		Expect(env.Client.Delete(ctx, t.infra)).To(Succeed())
		t.expect(ctx, capstanv1.ReasonDeleting, "waiting for the virtual machine to go")
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) {
			conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "hv1 does not answer")
		})
		t.expect(ctx, capstanv1.ReasonDeleting, "waiting for the virtual machine to go: hv1 does not answer")
		testenv.Update(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Finalizers = nil })
		env.ExpectGone(ctx, t.infra)
	})

	It("without a VM goes at once, its Machine and Cluster being gone", func(ctx SpecContext) {
		t, _ := begin(ctx, nil)
		Expect(env.Client.Delete(ctx, t.machine)).To(Succeed())
		Expect(env.Client.Delete(ctx, t.cluster)).To(Succeed())
		Expect(env.Client.Delete(ctx, t.infra)).To(Succeed())
		env.ExpectGone(ctx, t.infra)
		Expect(vmsIn(ctx, t.infra.Namespace)).To(BeZero())
	})

	It("refuses a template that is changed", func(ctx SpecContext) {
		template := &infrav1.HyperVMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(ctx, GinkgoT()), Name: "t"}}
		template.Spec.Template.Spec = infrav1.HyperVMachineSpec{Image: "a", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}}
		env.Create(ctx, template)
		template.Spec.Template.Spec.Image = "b"
		Expect(env.Client.Update(ctx, template)).To(MatchError(ContainSubstring("a template cannot be changed: make a new one and refer to it")))
	})
})
