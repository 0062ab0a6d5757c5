package hypervhost

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func drainedHost(name string) *capstanv1.HyperVHost {
	return &capstanv1.HyperVHost{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "host"}, Spec: capstanv1.HyperVHostSpec{Maintenance: capstanv1.MaintenanceDrain},
	}
}

func vmOn(host, name string, with ...func(*capstanv1.VirtualMachine)) *capstanv1.VirtualMachine {
	vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: capstanv1.VirtualMachineSpec{Role: capstanv1.RoleWorker}}
	vm.Spec.Placement = &capstanv1.Placement{Host: host}
	for _, f := range with {
		f(vm)
	}
	return vm
}

func movedTo(host string) func(*capstanv1.VirtualMachine) {
	return func(vm *capstanv1.VirtualMachine) { vm.Status.Host = host }
}

func ofLoadBalancer(vm *capstanv1.VirtualMachine) {
	vm.Spec.Role, vm.Labels = capstanv1.RoleLoadBalancer, map[string]string{capstanv1.LoadBalancerLabel: "shop"}
}

func isGoing(vm *capstanv1.VirtualMachine) {
	vm.DeletionTimestamp, vm.Finalizers = &metav1.Time{Time: metav1.Now().Time}, []string{capstanv1.VirtualMachineFinalizer}
	conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "its disks are being deleted")
}

// replaced is the HyperVMachine of a VM, which says how it stands with its replacement.
func replaced(name string, say func(*infrav1.HyperVMachine)) *infrav1.HyperVMachine {
	m := &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	say(m)
	return m
}

func waitsForTurn(m *infrav1.HyperVMachine) {
	conditions.False(m, capstanv1.ReplacingCondition, capstanv1.ReasonWaitingForTurn, "others come first")
}

func cannot(m *infrav1.HyperVMachine) {
	conditions.False(m, capstanv1.ReplacingCondition, capstanv1.ReasonCannotReplace, "it is the only member")
}

func waitsInOutage(m *infrav1.HyperVMachine) {
	conditions.False(m, capstanv1.ReplacingCondition, capstanv1.ReasonRepairHeld, "2 of 3 hosts do not answer")
}

func brokenInOutage(m *infrav1.HyperVMachine) {
	conditions.Unknown(m, capstanv1.ReadyCondition, capstanv1.ReasonRepairHeld, "2 of 3 hosts do not answer")
}

func silentAbout(*infrav1.HyperVMachine) {}

// lister is an agent that is asked for all it holds and for nothing else.
type lister struct {
	hostapi.Agent
	vms []hostapi.VM
	err error
}

func (l *lister) ListVMs(context.Context) ([]hostapi.VM, error) { return l.vms, l.err }

func holds(vms ...hostapi.VM) *lister { return &lister{vms: vms} }

// held is a VM of this installation's on the host, which calls itself node1.
func held(name string, state hostapi.State, change ...func(*hostapi.VM)) hostapi.VM {
	vm := hostapi.VM{
		Stamp: hostapi.Stamp{Installation: "here", ID: hostapi.VMID("id-of-" + name)}, Name: name, Owner: "team/" + name, Host: "node1", State: state,
	}
	for _, c := range change {
		c(&vm)
	}
	return vm
}

func TestWhatIsLeftOnAHostThatIsDrained(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []client.Object
		// agent is nil if the host does not answer.
		agent   *lister
		cluster string
		orphans []capstanv1.HostOrphan
		status  metav1.ConditionStatus
		reason  string
		says    string
		silent  string
		waiting []string
	}{
		"nothing": {
			objects: []client.Object{vmOn("hv2", "elsewhere")}, agent: holds(),
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained, says: "no VM of this installation's is left", silent: "not counted",
		},
		"nothing, but the host does not answer": {
			status: metav1.ConditionUnknown, reason: capstanv1.ReasonHostUnreachable, says: "cannot be asked",
		},
		"nothing, but the host could not list what it holds": {
			agent:  &lister{err: hostapi.Errorf(hostapi.Transient, "ListVMs", "", "a volume could not be read")},
			status: metav1.ConditionUnknown, reason: capstanv1.ReasonTransientError, says: "a volume could not be read",
		},
		"a VM that no object stands for": {
			agent:  holds(held("orphan", hostapi.StateRunning)),
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, says: "1 VM left that no VirtualMachine has on this host: team/orphan (id-of-orphan, Running)",
		},
		"a VM that no object stands for, and that is off": {
			agent:  holds(held("orphan", hostapi.StateOff)),
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, says: "team/orphan (id-of-orphan, Off)",
		},
		"an orphan that waits for an administrator": {
			agent: holds(held("orphan", hostapi.StateOff)), orphans: []capstanv1.HostOrphan{{ID: "id-of-orphan", State: capstanv1.OrphanReported}},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain,
		},
		"an orphan that is removed": {
			agent: holds(held("orphan", hostapi.StateOff)), orphans: []capstanv1.HostOrphan{{ID: "id-of-orphan", State: capstanv1.OrphanWaiting}},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, says: "FreeOfOrphans",
		},
		"nothing but a VM of another installation": {
			agent:  holds(held("theirs", hostapi.StateRunning, func(vm *hostapi.VM) { vm.Stamp.Installation = "another" })),
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained, says: "not counted: 1 VM of other installations",
		},
		"nothing but what is left of a VM": {
			agent:  holds(held("", hostapi.StatePartial, func(vm *hostapi.VM) { vm.Host = "" })),
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained, says: "not counted: what is left of 1 VM",
		},
		"nothing but what other nodes and the volumes of its failover cluster have": {
			agent: holds(held("a", hostapi.StateRunning, func(vm *hostapi.VM) { vm.Host = "node2" }),
				held("", hostapi.StatePartial, func(vm *hostapi.VM) { vm.Host = "" })), cluster: "fc1",
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained, silent: "not counted",
		},
		"a VM that its failover cluster moved there": {
			objects: []client.Object{vmOn("hv2", "a", movedTo("hv1")), replaced("a", waitsForTurn)}, agent: holds(held("a", hostapi.StateRunning)),
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, says: "1 VM left: team/a: others come first",
			waiting: []string{"a: others come first"},
		},
		"nothing but a VM that its failover cluster moved away": {
			objects: []client.Object{vmOn("hv1", "a", movedTo("hv2"))}, agent: holds(),
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained,
		},
		"one that waits and one that cannot": {
			objects: []client.Object{vmOn("hv1", "b"), replaced("b", cannot), vmOn("hv1", "a"), replaced("a", waitsForTurn)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, says: "2 VMs left, of which 1 will not go by themselves: team/b",
			waiting: []string{"a: others come first", "b: it is the only member"},
		},
		"one that goes": {
			objects: []client.Object{vmOn("hv1", "a", isGoing)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: it is being deleted: its disks are being deleted"},
		},
		"one of which nothing is said yet": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", silentAbout)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: its replacement has not begun"},
		},
		"one that is repaired first": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", func(m *infrav1.HyperVMachine) {
				conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonVolumeFault, "its volume is gone")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: something else comes first: its volume is gone"},
		},
		"one that is held in an outage, and one that goes": {
			objects: []client.Object{vmOn("hv1", "a", isGoing), vmOn("hv1", "b"), replaced("b", waitsInOutage)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonRepairHeld,
			waiting: []string{"a: it is being deleted: its disks are being deleted", "b: 2 of 3 hosts do not answer"},
		},
		"one whose repair is held in an outage": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", brokenInOutage)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonRepairHeld, waiting: []string{"a: something else comes first: 2 of 3 hosts do not answer"},
		},
		"one that nobody can repair": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", func(m *infrav1.HyperVMachine) {
				conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonCannotRepair, "it is the only member")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, waiting: []string{"a: something else comes first: it is the only member"},
		},
		"one that is paused": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", func(m *infrav1.HyperVMachine) {
				conditions.True(m, capstanv1.PausedCondition, capstanv1.ReasonPaused, "")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, waiting: []string{"a: it is paused, or its Cluster is"},
		},
		"one whose owner is gone": {
			objects: []client.Object{vmOn("hv1", "a")},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, waiting: []string{"a: nothing that could have it replaced is there: delete it"},
		},
		"a load balancer's": {
			objects: []client.Object{vmOn("hv1", "a", ofLoadBalancer), loadBalancer(func(lb *capstanv1.LoadBalancer) {
				conditions.False(lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonProgressing, "1 of 2 is")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: 1 of 2 is"},
		},
		"a load balancer's, whose successor fails": {
			objects: []client.Object{vmOn("hv1", "a", ofLoadBalancer), loadBalancer(func(lb *capstanv1.LoadBalancer) {
				conditions.False(lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonNotRolledOut, "it has never come up")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonCannotDrain, waiting: []string{"a: it has never come up"},
		},
		"a load balancer's that was well until now": {
			objects: []client.Object{vmOn("hv1", "a", ofLoadBalancer), loadBalancer(func(lb *capstanv1.LoadBalancer) {
				conditions.True(lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonUpToDate, "all are")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: its replacement has not begun"},
		},
		"a load balancer's that has no plan yet": {
			objects: []client.Object{vmOn("hv1", "a", ofLoadBalancer), loadBalancer(func(lb *capstanv1.LoadBalancer) {
				conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonClusterCAMissing, "Secret shop-ca is missing")
			})},
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: something else comes first: Secret shop-ca is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := &scope{host: drainedHost("hv1")}
			s.host.Status.Orphans = tc.orphans
			if tc.agent != nil {
				s.agent, s.hello, s.inventory = tc.agent, &hostapi.Hello{Host: "node1"}, &hostapi.Inventory{FailoverCluster: tc.cluster}
			}
			r := reconcilerWith(t, tc.objects...)
			r.Installation = "here"
			g.Expect(r.findLeft(t.Context(), s)).To(Succeed())
			r.takeStock(t.Context(), s)
			setMaintenance(s)
			if tc.silent != "" {
				g.Expect(conditions.Get(s.host, capstanv1.DrainedCondition).Message).NotTo(ContainSubstring(tc.silent))
			}
			g.Expect(conditions.Get(s.host, capstanv1.DrainedCondition)).To(SatisfyAll(
				HaveField("Status", tc.status), HaveField("Reason", tc.reason), HaveField("Message", ContainSubstring(tc.says))))
			var waiting []string
			for _, w := range s.host.Status.Maintenance.Waiting {
				g.Expect(w.Namespace).To(Equal("team"))
				waiting = append(waiting, w.Name+": "+w.WaitsFor)
			}
			g.Expect(waiting).To(Equal(tc.waiting))
			g.Expect(s.host.Status.Maintenance.Left).To(BeEquivalentTo(len(tc.waiting)))
		})
	}
}

func loadBalancer(say func(*capstanv1.LoadBalancer)) *capstanv1.LoadBalancer {
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	say(lb)
	return lb
}

func TestTheStatusOfADrainNamesFewOfMany(t *testing.T) {
	g := NewWithT(t)
	var objects []client.Object
	for i := range 40 {
		name := fmt.Sprintf("a%02d", i)
		objects = append(objects, vmOn("hv1", name), replaced(name, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReplacingCondition, capstanv1.ReasonCannotReplace, "%s", strings.Repeat("é", 4000))
		}))
	}
	s := &scope{host: drainedHost("hv1")}
	g.Expect(reconcilerWith(t, objects...).findLeft(t.Context(), s)).To(Succeed())
	setMaintenance(s)
	g.Expect(s.host.Status.Maintenance.Left).To(BeEquivalentTo(40))
	g.Expect(s.host.Status.Maintenance.Waiting).To(HaveLen(capstanv1.MostDrainingVMs))
	g.Expect(s.host.Status.Maintenance.Waiting).To(HaveEach(HaveField("WaitsFor", WithTransform(func(s string) int { return len([]rune(s)) }, BeNumerically("<=", 1024)))))
	g.Expect(conditions.Get(s.host, capstanv1.DrainedCondition).Message).To(HaveSuffix("team/a04 and 35 more"))
}

func TestAHostThatIsNotDrainedAnyMoreSaysNothingOfIt(t *testing.T) {
	g := NewWithT(t)
	s := &scope{host: drainedHost("hv1"), inventory: &hostapi.Inventory{}}
	r := reconcilerWith(t)
	g.Expect(r.findLeft(t.Context(), s)).To(Succeed())
	setMaintenance(s)
	g.Expect(s.host.Status.Maintenance).NotTo(BeNil())

	s = &scope{host: s.host}
	s.host.Spec.Maintenance = ""
	g.Expect(r.findLeft(t.Context(), s)).To(Succeed())
	setMaintenance(s)
	g.Expect(s.host.Status.Maintenance).To(BeNil())
	g.Expect(conditions.Get(s.host, capstanv1.DrainedCondition)).To(BeNil())
}

func TestEachOutcomeOfADrainIsOneEvent(t *testing.T) {
	g := NewWithT(t)
	r, recorder := reconcilerWith(t), &testenv.Recorder{}
	r.Events = recorder
	host := drainedHost("hv1")
	for _, reason := range []string{capstanv1.ReasonDraining, capstanv1.ReasonDraining, capstanv1.ReasonCannotDrain, capstanv1.ReasonDrained, capstanv1.ReasonDrained} {
		before := host.DeepCopy()
		conditions.False(host, capstanv1.DrainedCondition, reason, "it is so")
		r.tellOfDrain(before, host)
	}
	g.Expect(recorder.Reasons(host.UID)).To(Equal([]string{capstanv1.ReasonDraining, capstanv1.ReasonCannotDrain, capstanv1.ReasonDrained}))
}

func TestTheSamplesSayWhatTheirNamesSay(t *testing.T) {
	for name, says := range map[string]func(*capstanv1.HyperVHost) bool{
		"drain-host.yaml": (*capstanv1.HyperVHost).IsDraining,
		"lost-host.yaml":  func(h *capstanv1.HyperVHost) bool { return h.Spec.Lost },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			text, err := os.ReadFile("../../config/samples/" + name)
			g.Expect(err).NotTo(HaveOccurred())
			host := &capstanv1.HyperVHost{}
			g.Expect(yaml.UnmarshalStrict(text, host)).To(Succeed())
			g.Expect(says(host)).To(BeTrue())
			host.Spec.Maintenance, host.Spec.Lost = "", false
			g.Expect(host.Spec).To(Equal(capstanv1.HyperVHostSpec{}), "it says nothing else of the host")
		})
	}
}
