package loadbalancer

import (
	"context"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// presume says on the VMs that are presumed lost that nobody need be waited for who could
// remove them, and takes that back where they are heard of. It is as true of those that
// are being deleted, whoever does so.
func (r *Reconciler) presume(ctx context.Context, s *scope) error {
	now := r.Clock.Now()
	for i := range s.candidates {
		c := &s.candidates[i]
		_, said := c.vm.Annotations[capstanv1.PresumedLostAnnotation]
		var err error
		switch {
		case c.loss.isPresumed(now):
			err = outage.Presume(ctx, r.Client, c.vm, c.loss.since)
		case said && (c.loss.refuted || c.loss.held != nil):
			err = outage.Presume(ctx, r.Client, c.vm, time.Time{})
		}
		if err != nil {
			return err
		}
		if !c.vm.DeletionTimestamp.IsZero() && c.loss.isPossible() && c.loss.due.After(now) {
			s.tryAgainIn(c.loss.due.Sub(now))
		}
	}
	return nil
}
