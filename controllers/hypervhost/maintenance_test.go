package hypervhost

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

func silentAbout(*infrav1.HyperVMachine) {}

func TestWhatIsLeftOnAHostThatIsDrained(t *testing.T) {
	const nobody, everybody = 0, 1
	for name, tc := range map[string]struct {
		objects   []client.Object
		inventory *hostapi.Inventory
		status    metav1.ConditionStatus
		reason    string
		says      string
		waiting   []string
	}{
		"nothing": {
			objects: []client.Object{vmOn("hv2", "elsewhere")}, inventory: &hostapi.Inventory{VMs: nobody},
			status: metav1.ConditionTrue, reason: capstanv1.ReasonDrained, says: "nothing of Capstan's is left",
		},
		"nothing, but the host does not answer": {
			status: metav1.ConditionUnknown, reason: capstanv1.ReasonHostUnreachable, says: "cannot be asked",
		},
		"a VM that no object stands for": {
			inventory: &hostapi.Inventory{VMs: everybody},
			status:    metav1.ConditionFalse, reason: capstanv1.ReasonDraining, says: "1 VM of Capstan's that no VirtualMachine stands for",
		},
		"a VM that its failover cluster moved there": {
			objects:   []client.Object{vmOn("hv2", "a", movedTo("hv1")), replaced("a", waitsForTurn)},
			inventory: &hostapi.Inventory{VMs: everybody},
			status:    metav1.ConditionFalse, reason: capstanv1.ReasonDraining, says: "1 VM left: team/a: others come first",
			waiting: []string{"a: others come first"},
		},
		"nothing but a VM that its failover cluster moved away": {
			objects: []client.Object{vmOn("hv1", "a", movedTo("hv2"))}, inventory: &hostapi.Inventory{},
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
		"one that nobody has looked at": {
			objects: []client.Object{vmOn("hv1", "a"), replaced("a", silentAbout)},
			status:  metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: its controller has not looked at it yet"},
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
			status: metav1.ConditionFalse, reason: capstanv1.ReasonDraining, waiting: []string{"a: its controller has not looked at it yet"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := &scope{host: drainedHost("hv1"), inventory: tc.inventory}
			g.Expect(reconcilerWith(t, tc.objects...).findLeft(t.Context(), s)).To(Succeed())
			setMaintenance(s)
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
