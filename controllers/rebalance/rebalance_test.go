package rebalance

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// long ago, all machines of a bench were made.
var longAgo = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// bench is a Ready cluster on two hosts that stand alone.
type bench struct {
	Gomega
	t      *testing.T
	client client.Client
	r      *Reconciler
	events *testenv.Recorder
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	b := &bench{Gomega: NewWithT(t), t: t, events: &testenv.Recorder{}}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, infrav1.AddToScheme, clusterv1.AddToScheme} {
		b.Expect(add(scheme)).To(Succeed())
	}
	wlc := testenv.NewWorkloadCluster("team", "shop")
	wlc.UID = "shop"
	conditions.True(wlc, capstanv1.ReadyCondition, capstanv1.ReasonReady, "")
	objects = append(objects, wlc, newHost("hv1"), newHost("hv2"), testenv.NewVMImage("linux", testenv.Version), testenv.NewLogicalNetwork("lan"))
	b.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(wlc).Build()
	b.r = &Reconciler{Client: b.client, Events: b.events, Clock: clock.RealClock{}, Look: time.Hour}
	b.r.writer = &conditions.Writer{Client: b.client, Events: b.events, Summary: capstanv1.RebalancingCondition, Quiet: true}
	return b
}

func newHost(name string) *capstanv1.HyperVHost {
	host := testenv.NewHyperVHost(name)
	conditions.True(host, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	return host
}

// machine is one of a pool, with its VM on a host.
func machine(name, host string, with ...func(*clusterv1.Machine)) []client.Object {
	labels := map[string]string{clusterv1.ClusterNameLabel: "shop", capstanv1.WorkloadClusterLabel: "shop"}
	meta := metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name), Labels: labels, CreationTimestamp: metav1.NewTime(longAgo)}
	m := &clusterv1.Machine{ObjectMeta: *meta.DeepCopy(), Spec: clusterv1.MachineSpec{ClusterName: "shop"}}
	m.Spec.InfrastructureRef.Name = name
	for _, f := range with {
		f(m)
	}
	vm := &capstanv1.VirtualMachine{ObjectMeta: *meta.DeepCopy(), Spec: capstanv1.VirtualMachineSpec{
		ClusterName: "shop", Role: capstanv1.RoleWorker, Group: "pool", Image: "linux", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}},
		Size:      capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("4Gi"), BootDisk: resource.MustParse("40Gi")},
		Placement: &capstanv1.Placement{Host: host, Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "Volume1"}}},
	}}
	return []client.Object{m, vm, &infrav1.HyperVMachine{ObjectMeta: *meta.DeepCopy()}}
}

func all(machines ...[]client.Object) (objects []client.Object) {
	for _, m := range machines {
		objects = append(objects, m...)
	}
	return objects
}

func young(m *clusterv1.Machine) { m.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Hour)) }

func wantedByHand(m *clusterv1.Machine) {
	m.Annotations = map[string]string{capstanv1.ReplaceAnnotation: "slow"}
}

func (b *bench) look() *capstanv1.WorkloadCluster {
	b.t.Helper()
	key := client.ObjectKey{Namespace: "team", Name: "shop"}
	_, err := b.r.Reconcile(b.t.Context(), ctrl.Request{NamespacedName: key})
	b.Expect(err).NotTo(HaveOccurred())
	wlc := &capstanv1.WorkloadCluster{}
	b.Expect(b.client.Get(b.t.Context(), key, wlc)).To(Succeed())
	return wlc
}

func (b *bench) ask(yes bool) {
	b.t.Helper()
	wlc := &capstanv1.WorkloadCluster{}
	b.Expect(b.client.Get(b.t.Context(), client.ObjectKey{Namespace: "team", Name: "shop"}, wlc)).To(Succeed())
	wlc.Annotations = nil
	if yes {
		wlc.Annotations = map[string]string{capstanv1.RebalanceAnnotation: ""}
	}
	b.Expect(b.client.Update(b.t.Context(), wlc)).To(Succeed())
}

// turns are the machines whose turn it is.
func (b *bench) turns() (names []string) {
	b.t.Helper()
	list := &clusterv1.MachineList{}
	b.Expect(b.client.List(b.t.Context(), list)).To(Succeed())
	for _, m := range list.Items {
		if m.Annotations[capstanv1.ReplaceAnnotation] == capstanv1.ReplaceForSpread {
			names = append(names, m.Name)
		}
	}
	return names
}

// replace does what Cluster API does.
func (b *bench) replace(name, successor, host string) {
	b.t.Helper()
	for _, obj := range machine(name, "") {
		b.Expect(b.client.Delete(b.t.Context(), obj)).To(Succeed())
	}
	for _, obj := range machine(successor, host, young) {
		b.Expect(b.client.Create(b.t.Context(), obj)).To(Succeed())
	}
}

func TestSkewIsToldAndNobodyIsReplacedUnlessAsked(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"))...)
	wlc := b.look()
	b.Expect(wlc.Status.Spread).To(HaveValue(Equal(capstanv1.SpreadStatus{Hosts: 1, Volumes: 1, Misplaced: 2})))
	b.Expect(wlc.Status.Rebalance).To(BeNil())
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition)).To(BeNil())
	b.Expect(b.turns()).To(BeEmpty())
}

func TestOneMachineAfterTheOtherIsReplacedUntilNothingBetterIsPossible(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"), machine("c", "hv1"), machine("d", "hv1"))...)
	b.ask(true)
	wlc := b.look()
	b.Expect(b.turns()).To(Equal([]string{"a"}))
	b.Expect(wlc.Status.Rebalance.Machine).To(Equal("a"))
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition).Message).To(Equal("Machine a is to be replaced: host apart, it would be on host hv2 today; 0 machines replaced"))
	b.look()
	b.Expect(b.turns()).To(Equal([]string{"a"}), "one at a time")

	b.replace("a", "e", "hv2")
	wlc = b.look()
	b.Expect(b.turns()).To(Equal([]string{"b"}))
	b.Expect(wlc.Status.Rebalance.Replaced).To(BeEquivalentTo(1))
	b.replace("b", "f", "hv2")
	wlc = b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(wlc.Annotations).NotTo(HaveKey(capstanv1.RebalanceAnnotation))
	b.Expect(wlc.Status.Rebalance).To(BeNil())
	b.Expect(wlc.Status.Spread).To(HaveValue(Equal(capstanv1.SpreadStatus{})))
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition)).To(BeNil())
	b.Expect(b.events.Of("shop")).To(ContainElement(HaveField("Note", "nothing better is possible; 2 machines replaced")))
}

func TestAMachineThatCameSinceIsNotReplacedAgain(t *testing.T) {
	// Whatever placement says of them, so that it comes to an end.
	b := newBench(t, all(machine("a", "hv1", young), machine("b", "hv1", young))...)
	b.ask(true)
	wlc := b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(wlc.Annotations).NotTo(HaveKey(capstanv1.RebalanceAnnotation))
}

func TestAMachineThatCannotBeReplacedIsSkipped(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1", wantedByHand))...)
	b.ask(true)
	b.look()
	infra := &infrav1.HyperVMachine{}
	b.Expect(b.client.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "a"}, infra)).To(Succeed())
	conditions.False(infra, capstanv1.ReplacingCondition, capstanv1.ReasonCannotReplace, "it is the only member")
	b.Expect(b.client.Update(t.Context(), infra)).To(Succeed())
	wlc := b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(wlc.Status.Rebalance.Skipped).To(Equal([]string{"a"}))
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition).Message).To(ContainSubstring("Machine a stays: it is the only member"))
	wlc = b.look()
	b.Expect(wlc.Annotations).NotTo(HaveKey(capstanv1.RebalanceAnnotation))
	b.Expect(b.events.Of("shop")).To(ContainElement(HaveField("Note", "nothing better is possible; 0 machines replaced; a cannot be")))
}

func TestAMachineThatIsHeldInAnOutageIsWaitedFor(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"))...)
	b.ask(true)
	b.look()
	infra := &infrav1.HyperVMachine{}
	b.Expect(b.client.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "a"}, infra)).To(Succeed())
	conditions.False(infra, capstanv1.ReplacingCondition, capstanv1.ReasonRepairHeld, "2 of 3 hosts do not answer")
	b.Expect(b.client.Update(t.Context(), infra)).To(Succeed())
	wlc := b.look()
	b.Expect(b.turns()).To(Equal([]string{"a"}))
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition)).To(HaveValue(And(
		HaveField("Reason", capstanv1.ReasonRepairHeld), HaveField("Message", HavePrefix("Machine a: 2 of 3 hosts do not answer")))))
}

func TestAMachineThatIsWellByNowIsLetOff(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"))...)
	b.ask(true)
	b.look()
	b.Expect(b.turns()).To(Equal([]string{"a"}))
	b.replace("b", "c", "hv2")
	wlc := b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(wlc.Status.Rebalance.Replaced).To(BeZero())
}

func TestWhatHasNotBegunIsTakenBackWithTheAnnotation(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"))...)
	b.ask(true)
	b.look()
	b.ask(false)
	wlc := b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(wlc.Status.Rebalance).To(BeNil())
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition)).To(BeNil())
}

func TestAClusterThatIsNotReadyIsWaitedFor(t *testing.T) {
	b := newBench(t, all(machine("a", "hv1"), machine("b", "hv1"))...)
	wlc := b.look()
	conditions.False(wlc, capstanv1.ReadyCondition, capstanv1.ReasonWaitingForNodePools, "")
	b.Expect(b.client.Status().Update(t.Context(), wlc)).To(Succeed())
	b.ask(true)
	wlc = b.look()
	b.Expect(b.turns()).To(BeEmpty())
	b.Expect(conditions.Get(wlc, capstanv1.RebalancingCondition).Message).To(HavePrefix("waiting for the cluster to be Ready"))
}
