package hypervmachine

import (
	"cmp"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// patience is how long a VirtualMachine's way is left to itself to tell. Machine,
// pool, control plane and cluster all repeat what is told here: each step of a VM
// that takes a second would be written ten times over.
const patience = 30 * time.Second

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope, now time.Time) {
	infra := s.infra
	infra.Status.ObservedGeneration = infra.Generation
	conditions.False(infra, clusterv1.PausedCondition, clusterv1.NotPausedReason, "")
	setFault(s)
	switch {
	case !infra.DeletionTimestamp.IsZero():
		conditions.False(infra, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "%s", deletionMessage(s))
		return
	case errors.Is(s.err, errVMGone) && s.repair != nil:
		conditions.False(infra, capstanv1.VMReadyCondition, capstanv1.ReasonVMNotFound, "%s", s.err)
		setRepair(s)
		return
	case s.err != nil:
		conditions.Failed(infra, capstanv1.ReadyCondition, reasonOf(s.err), s.err)
		return
	case s.wait != nil:
		conditions.False(infra, capstanv1.ReadyCondition, s.wait.reason, "%s", s.wait.message)
		return
	}
	setFromVM(s, now)
	setBootstrapped(s)
	if conditions.IsTrue(infra, capstanv1.VMReadyCondition) {
		infra.Status.Initialization.Provisioned = ptr.To(true)
	}
	message := "the virtual machine runs on " + infra.Status.Host
	sum := []string{capstanv1.VMReadyCondition}
	switch c := conditions.Get(infra, capstanv1.BootstrappedCondition); {
	case c == nil:
	case c.Reason == capstanv1.ReasonBootstrapFailed:
		sum = append(sum, capstanv1.BootstrappedCondition)
	default:
		// That it takes long is not to be held against the machine: Cluster API would
		// reckon the time that a node has from another beginning.
		message += "; " + c.Message
	}
	conditions.Summarize(infra, capstanv1.ReadyCondition, capstanv1.ReasonReady, message, sum...)
	setRepair(s)
	setReplacement(s)
}

// setFault remembers for what a machine is replaced unless that ends, and since when that
// is so.
func setFault(s *scope) {
	if !s.judged {
		return
	}
	s.infra.Status.Fault = nil
	if s.cause != nil && !s.cause.since.IsZero() {
		s.infra.Status.Fault = &infrav1.MachineFault{Reason: s.cause.reason, Since: metav1.NewTime(s.cause.since.Truncate(time.Second))}
	}
}

// setRepair tells with the rest that a machine will be replaced, or why it is not.
func setRepair(s *scope) {
	if s.repair == nil {
		return
	}
	set := conditions.Unknown
	if s.repair.status == metav1.ConditionFalse {
		set = conditions.False
	}
	set(s.infra, capstanv1.ReadyCondition, s.repair.reason, "%s; %s", conditions.Get(s.infra, capstanv1.VMReadyCondition).Message, s.repair.message)
}

// setBootstrapped tells why there is no node, where its guest runs and tells it.
func setBootstrapped(s *scope) {
	infra, guest := s.infra, s.vm.Status.Guest
	switch {
	case guest == nil || s.machine.Status.NodeRef.IsDefined() || !conditions.IsTrue(infra, capstanv1.VMReadyCondition):
		conditions.Remove(infra, capstanv1.BootstrappedCondition)
	case guest.Initialization == capstanv1.GuestInitializationFailed:
		conditions.False(infra, capstanv1.BootstrappedCondition, capstanv1.ReasonBootstrapFailed, "the guest on %s does not become a node: %s", s.vm.Status.Host, guest.Explain())
	default:
		conditions.False(infra, capstanv1.BootstrappedCondition, capstanv1.ReasonWaitingForNode, "waiting for the guest on %s to become a node: %s", s.vm.Status.Host, guest.Explain())
	}
}

// setFromVM takes over what the VirtualMachine tells. Where it will run and be reached
// is of no use to anybody up here before it does.
func setFromVM(s *scope, now time.Time) {
	infra, vm := s.infra, s.vm
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	if ready == nil || isOnItsWay(ready, now) {
		conditions.False(infra, capstanv1.VMReadyCondition, capstanv1.ReasonWaitingForVirtualMachine, "waiting for VirtualMachine %s to run", vm.Name)
		return
	}
	infra.Status.Host = vm.Status.Host
	infra.Status.Volumes = vm.Status.Volumes
	infra.Status.FailureDomain = vm.Status.FailureDomain
	infra.Status.Addresses = addresses(vm)
	switch ready.Status {
	case metav1.ConditionTrue:
		conditions.True(infra, capstanv1.VMReadyCondition, ready.Reason, "%s", ready.Message)
	case metav1.ConditionUnknown:
		// What could not be observed must not read as what is known to be wrong.
		conditions.Unknown(infra, capstanv1.VMReadyCondition, ready.Reason, "%s", ready.Message)
	case metav1.ConditionFalse:
		// What is wrong, or takes long, is the answer to "why not": it is passed on.
		conditions.False(infra, capstanv1.VMReadyCondition, ready.Reason, "%s", ready.Message)
	}
}

// isOnItsWay tells a VM that is becoming Ready from one that is held up.
func isOnItsWay(ready *metav1.Condition, now time.Time) bool {
	return ready.Status == metav1.ConditionFalse && !conditions.IsFault(ready.Reason) && untilHeldUp(ready, now) > 0
}

func untilHeldUp(ready *metav1.Condition, now time.Time) time.Duration {
	return ready.LastTransitionTime.Add(patience).Sub(now)
}

// nextLook is when the status would say something else by itself; zero for never.
func nextLook(s *scope, now time.Time) time.Duration {
	if s.repair != nil {
		return untilRepair(s.repair, now)
	}
	if s.vm == nil || s.err != nil {
		return 0
	}
	if s.replacement != nil {
		return pollRepair
	}
	if ready := conditions.Get(s.vm, capstanv1.ReadyCondition); ready != nil && isOnItsWay(ready, now) {
		return untilHeldUp(ready, now)
	}
	return s.again
}

func untilRepair(r *repair, now time.Time) time.Duration {
	if left := r.due.Sub(now); left > 0 && left < pollRepair {
		return left
	}
	return pollRepair
}

func addresses(vm *capstanv1.VirtualMachine) []clusterv1.MachineAddress {
	list := make([]clusterv1.MachineAddress, 0, len(vm.Status.Addresses)+1)
	for _, address := range vm.Status.Addresses {
		list = append(list, clusterv1.MachineAddress{Type: clusterv1.MachineInternalIP, Address: address})
	}
	if len(list) == 0 {
		return nil
	}
	return append(list, clusterv1.MachineAddress{Type: clusterv1.MachineHostName, Address: vm.Name})
}

func deletionMessage(s *scope) string {
	switch {
	case s.err != nil:
		return s.err.Error()
	case s.silence != "":
		return s.left + ": " + s.silence
	case s.vm != nil:
		if c := conditions.Get(s.vm, capstanv1.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue && (c.Reason == capstanv1.ReasonDeleting || conditions.IsFault(c.Reason)) {
			return s.left + ": " + c.Message
		}
	}
	return cmp.Or(s.left, "the virtual machine is gone")
}

func reasonOf(err error) string {
	var notOwned *apply.NotOwnedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &notOwned):
		return capstanv1.ReasonConflict
	case errors.Is(err, errVMGone):
		return capstanv1.ReasonVMNotFound
	default:
		return capstanv1.ReasonInternalError
	}
}
