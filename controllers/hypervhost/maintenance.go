package hypervhost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines;loadbalancers,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch

// survey is who is left on a host that is being drained.
type survey struct {
	vms []capstanv1.DrainingVM
	// stuck are those that will not go by themselves, and held tells that the others wait
	// because all repair is held.
	stuck []string
	held  bool
}

// waiting is what a VM waits for before it is gone.
type waiting struct {
	says string
	// stuck tells that this will not come by itself, and held that all repair is held.
	stuck, held bool
}

// findLeft looks for the VMs that are to leave the host. Those who replace them look at
// the host themselves: here it is only told how far they are.
func (r *Reconciler) findLeft(ctx context.Context, s *scope) error {
	if !s.host.IsDraining() {
		return nil
	}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms); err != nil {
		return fmt.Errorf("listing VirtualMachines: %w", err)
	}
	found := &survey{}
	for i := range vms.Items {
		vm := &vms.Items[i]
		if vm.CurrentHost() != s.host.Name {
			continue
		}
		w, err := r.waitsFor(ctx, vm)
		if err != nil {
			return err
		}
		found.vms = append(found.vms, capstanv1.DrainingVM{Namespace: vm.Namespace, Name: vm.Name, Role: vm.Spec.Role, WaitsFor: shortened(w.says)})
		found.held = found.held || w.held
		if w.stuck {
			found.stuck = append(found.stuck, vm.Namespace+"/"+vm.Name)
		}
	}
	slices.SortFunc(found.vms, func(a, b capstanv1.DrainingVM) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	slices.Sort(found.stuck)
	s.left = found
	return nil
}

// waitsFor says what a VM waits for.
func (r *Reconciler) waitsFor(ctx context.Context, vm *capstanv1.VirtualMachine) (waiting, error) {
	if !vm.DeletionTimestamp.IsZero() {
		if ready := conditions.Get(vm, capstanv1.ReadyCondition); ready != nil && ready.Reason != capstanv1.ReasonReady {
			return waiting{says: "it is being deleted: " + ready.Message}, nil
		}
		return waiting{says: "it is being deleted"}, nil
	}
	var holder conditions.Holder
	var obj client.Object
	machine := &infrav1.HyperVMachine{}
	obj, holder = machine, machine
	tells, key := capstanv1.ReplacingCondition, client.ObjectKeyFromObject(vm)
	if vm.Spec.Role == capstanv1.RoleLoadBalancer {
		lb := &capstanv1.LoadBalancer{}
		obj, holder, tells, key.Name = lb, lb, capstanv1.InstancesUpToDateCondition, vm.Labels[capstanv1.LoadBalancerLabel]
	}
	switch err := r.Client.Get(ctx, key, obj); {
	case apierrors.IsNotFound(err):
		return waiting{says: "nothing that could have it replaced is there: delete it", stuck: true}, nil
	case err != nil:
		return waiting{}, fmt.Errorf("reading the owner of VirtualMachine %s: %w", client.ObjectKeyFromObject(vm), err)
	}
	switch c := conditions.Get(holder, tells); {
	case conditions.IsTrue(holder, capstanv1.PausedCondition):
		return waiting{says: "it is paused, or its Cluster is", stuck: true}, nil
	case c == nil, c.Type == capstanv1.InstancesUpToDateCondition && c.Status == metav1.ConditionTrue:
		return waitsBefore(obj, holder), nil
	default:
		stuck := c.Reason == capstanv1.ReasonCannotReplace || c.Reason == capstanv1.ReasonNotRolledOut
		return waiting{says: c.Message, stuck: stuck, held: c.Reason == capstanv1.ReasonRepairHeld}, nil
	}
}

// waitsBefore says what a VM waits for that nobody has said is to be replaced for the drain.
// What is wrong with it goes first, and whoever waits for something else says so.
func waitsBefore(obj client.Object, holder conditions.Holder) waiting {
	if !obj.GetDeletionTimestamp().IsZero() {
		return waiting{says: "it is being deleted"}
	}
	if ready := conditions.Get(holder, capstanv1.ReadyCondition); ready != nil && ready.Status != metav1.ConditionTrue {
		return waiting{
			says:  "something else comes first: " + ready.Message,
			stuck: ready.Reason == capstanv1.ReasonCannotRepair, held: ready.Reason == capstanv1.ReasonRepairHeld,
		}
	}
	return waiting{says: "its replacement has not begun"}
}

// setMaintenance tells how far the host is drained.
func setMaintenance(s *scope) {
	host := s.host
	switch {
	case !host.IsDraining():
		host.Status.Maintenance = nil
		conditions.Remove(host, capstanv1.DrainedCondition)
		return
	case s.left == nil:
		return
	}
	vms := s.left.vms
	host.Status.Maintenance = &capstanv1.HostMaintenanceStatus{
		Left: int32(len(vms)), Waiting: vms[:min(capstanv1.MostDrainingVMs, len(vms))],
	}
	switch {
	case len(s.left.stuck) > 0:
		conditions.False(host, capstanv1.DrainedCondition, capstanv1.ReasonCannotDrain, "%s left, of which %d will not go by themselves: %s",
			conditions.Counted(len(vms), "VM"), len(s.left.stuck), someOf(s.left.stuck))
	case len(vms) > 0:
		reason := capstanv1.ReasonDraining
		if s.left.held {
			reason = capstanv1.ReasonRepairHeld
		}
		conditions.False(host, capstanv1.DrainedCondition, reason, "%s left: %s: %s",
			conditions.Counted(len(vms), "VM"), vms[0].Namespace+"/"+vms[0].Name, vms[0].WaitsFor)
	case s.holding == nil:
		conditions.Unknown(host, capstanv1.DrainedCondition, capstanv1.ReasonHostUnreachable,
			"no VM is left as far as is known, but the host cannot be asked whether it still has one")
	case s.holding.err != nil:
		conditions.Unknown(host, capstanv1.DrainedCondition, reasonOf(s.holding.err),
			"no VM is left as far as is known, but the host could not say whether it still has one: %s", s.holding.err)
	case len(s.holding.ours) > 0:
		reason := capstanv1.ReasonCannotDrain
		if s.holding.going == len(s.holding.ours) {
			reason = capstanv1.ReasonDraining
		}
		conditions.False(host, capstanv1.DrainedCondition, reason,
			"%s left that no VirtualMachine has on this host: %s; the condition %s says what becomes of it%s",
			conditions.Counted(len(s.holding.ours), "VM"), someOf(s.holding.ours), capstanv1.FreeOfOrphansCondition, s.holding.aside())
	default:
		conditions.True(host, capstanv1.DrainedCondition, capstanv1.ReasonDrained,
			"no VM of this installation's is left on the host: it may be worked on, or its HyperVHost deleted%s", s.holding.aside())
	}
}

// longestWait is how much is told of what a VM waits for.
const longestWait = 1024

func shortened(text string) string {
	if runes := []rune(text); len(runes) > longestWait {
		return string(runes[:longestWait-3]) + "..."
	}
	return text
}

// mostNamed is how many VMs a message names.
const mostNamed = 5

func someOf(names []string) string {
	list := strings.Join(names[:min(mostNamed, len(names))], ", ")
	if more := len(names) - mostNamed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// tellOfDrain records an event when the drain of a host has another outcome than before.
func (r *Reconciler) tellOfDrain(before, after *capstanv1.HyperVHost) {
	was, is := conditions.Get(before, capstanv1.DrainedCondition), conditions.Get(after, capstanv1.DrainedCondition)
	if r.Events == nil || is == nil || was != nil && was.Reason == is.Reason {
		return
	}
	eventType := corev1.EventTypeNormal
	if is.Reason == capstanv1.ReasonCannotDrain {
		eventType = corev1.EventTypeWarning
	}
	r.Events.Eventf(after, nil, eventType, is.Reason, "Drain", "%s", is.Message)
}
