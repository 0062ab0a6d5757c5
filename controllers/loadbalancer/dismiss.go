package loadbalancer

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// dismiss lets a VM go that is too many. One that holds the VIP hands it over first. One
// that may hold it, and cannot be asked of late, is given the time to tell: another one
// may be the one to go.
func (r *Reconciler) dismiss(ctx context.Context, s *scope, c *candidate) error {
	if !c.vm.DeletionTimestamp.IsZero() {
		return nil
	}
	if left := c.untilTold(s.now); left > 0 {
		s.tryAgainIn(left)
		return nil
	}
	if c.role == roleActive && !c.resigns && standsIn(s.candidates, c) {
		return r.annotate(ctx, c.vm, fmt.Sprintf("spec.replicas is %d", ptr.Deref(s.lb.Spec.Replicas, 2)))
	}
	return r.deleteVM(ctx, c.vm)
}

// untilTold returns for how long a VM may still tell whether it holds the VIP, or 0.
func (c *candidate) untilTold(now time.Time) time.Duration {
	asked := agentAddress(c.vm) != "" && (c.vm.Spec.RetireSeed || c.vm.Status.Phase == capstanv1.VMRunning)
	switch {
	case c.answers || !c.planned || c.isDead() || !asked:
		return 0
	case c.silentSince.IsZero():
		return firstRetry
	}
	return max(c.silentSince.Add(patience).Sub(now), 0)
}
