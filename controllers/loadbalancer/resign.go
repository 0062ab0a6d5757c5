package loadbalancer

import (
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// longestResignation is how long a VM may take to hand the VIP over before it goes all
// the same. Its neighbours miss it then, as they would miss one that has died.
const longestResignation = 15 * time.Second

// isResigning tells that a VM is to hand the VIP over, so that it can go.
func isResigning(vm *capstanv1.VirtualMachine) bool {
	return vm.DeletionTimestamp.IsZero() && vm.Annotations[capstanv1.ReplacedAnnotation] != ""
}

// hadTimeToResign tells whether a VM that resigns need not be waited for any longer.
func (r *Reconciler) hadTimeToResign(s *scope, agent *agent) bool {
	now := r.Clock.Now()
	left := agent.resignsSince(now).Add(longestResignation).Sub(now)
	if left > 0 {
		s.tryAgainIn(left)
	}
	return left <= 0
}

// resigns tells whether a VM is given a plan without VIPs. As long as nobody else could
// hold them it keeps them.
func (s *scope) resigns(vm *capstanv1.VirtualMachine) bool {
	if !isResigning(vm) {
		return false
	}
	for i := range s.candidates {
		if c := &s.candidates[i]; c.vm.UID != vm.UID && c.answers && c.carries && !c.resigns && c.vm.DeletionTimestamp.IsZero() {
			return true
		}
	}
	return false
}
