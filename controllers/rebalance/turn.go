package rebalance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// mostSkipped is how many Machines a status names that cannot be replaced.
const mostSkipped = 64

// proceed has one machine after the other replaced. It comes to an end: each machine that
// was there when it began is replaced once at most, and those that came since stay.
func (r *Reconciler) proceed(ctx context.Context, s *scope, settled bool) error {
	status := s.wlc.Status.Rebalance
	if status == nil {
		status = &capstanv1.RebalanceStatus{StartedAt: metav1.NewTime(r.Clock.Now())}
		s.wlc.Status.Rebalance = status
	}
	turn := s.whoseTurn()
	if turn == nil && status.Machine != "" {
		if !slices.ContainsFunc(s.machines, func(m clusterv1.Machine) bool { return m.Name == status.Machine }) {
			status.Replaced++
		}
		status.Machine = ""
	}
	if turn != nil {
		status.Machine = turn.Name
		return r.attend(ctx, s, turn, settled)
	}
	if !settled {
		s.waits = "waiting for the cluster to be Ready"
		return nil
	}
	next := s.next()
	if next == nil {
		return r.finish(ctx, s)
	}
	why := s.better[next.Spec.InfrastructureRef.Name]
	if err := r.mark(ctx, next, true); err != nil {
		return err
	}
	status.Machine = next.Name
	s.waits = fmt.Sprintf("Machine %s is to be replaced: %s, it would be on host %s today", next.Name, why.by, why.host)
	r.Events.Eventf(s.wlc, next, corev1.EventTypeNormal, "Rebalance", "Rebalance", "%s", s.waits)
	return nil
}

// whoseTurn is the Machine that is to be replaced now, or nil.
func (s *scope) whoseTurn() *clusterv1.Machine {
	for i := range s.machines {
		if s.machines[i].Annotations[capstanv1.ReplaceAnnotation] == capstanv1.ReplaceForSpread {
			return &s.machines[i]
		}
	}
	return nil
}

// attend follows a machine whose turn it is. It is let off if it cannot be replaced, or if
// it is well where it is by now.
func (r *Reconciler) attend(ctx context.Context, s *scope, m *clusterv1.Machine, settled bool) error {
	replacing, err := r.replacing(ctx, m)
	if err != nil {
		return err
	}
	_, better := s.better[m.Spec.InfrastructureRef.Name]
	begun := !m.DeletionTimestamp.IsZero() || annotations.HasRemediateMachine(m)
	status := s.wlc.Status.Rebalance
	switch {
	case replacing != nil && replacing.Reason == capstanv1.ReasonCannotReplace:
		if len(status.Skipped) < mostSkipped {
			status.Skipped = append(status.Skipped, m.Name)
		}
		s.waits = fmt.Sprintf("Machine %s stays: %s", m.Name, replacing.Message)
	case settled && !begun && !better:
		s.waits = fmt.Sprintf("Machine %s is well where it is by now", m.Name)
	case replacing != nil:
		s.waits, s.held = fmt.Sprintf("Machine %s: %s", m.Name, replacing.Message), replacing.Reason == capstanv1.ReasonRepairHeld
		return nil
	default:
		s.waits = fmt.Sprintf("Machine %s is to be replaced", m.Name)
		return nil
	}
	if err := r.mark(ctx, m, false); err != nil {
		return err
	}
	status.Machine = ""
	return nil
}

// replacing is how it stands with the replacement of a machine, or nil.
func (r *Reconciler) replacing(ctx context.Context, m *clusterv1.Machine) (*metav1.Condition, error) {
	infra := &infrav1.HyperVMachine{}
	switch err := r.Client.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: m.Spec.InfrastructureRef.Name}, infra); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading HyperVMachine %s: %w", m.Spec.InfrastructureRef.Name, err)
	}
	return conditions.Get(infra, capstanv1.ReplacingCondition), nil
}

// next is the Machine to replace next, or nil: nodes before members of the control plane,
// then the oldest.
func (s *scope) next() *clusterv1.Machine {
	status := s.wlc.Status.Rebalance
	var next *clusterv1.Machine
	for i := range s.machines {
		m := &s.machines[i]
		_, better := s.better[m.Spec.InfrastructureRef.Name]
		if !better || !m.DeletionTimestamp.IsZero() || m.CreationTimestamp.After(status.StartedAt.Time) || slices.Contains(status.Skipped, m.Name) || isWanted(m) {
			continue
		}
		if next == nil || compare(m, next) < 0 {
			next = m
		}
	}
	return next
}

// isWanted tells whether somebody else wants the machine to be replaced already.
func isWanted(m *clusterv1.Machine) bool {
	_, is := m.Annotations[capstanv1.ReplaceAnnotation]
	return is
}

func compare(a, b *clusterv1.Machine) int {
	if util.IsControlPlaneMachine(a) != util.IsControlPlaneMachine(b) {
		if util.IsControlPlaneMachine(b) {
			return -1
		}
		return 1
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
}

// mark says on a Machine that it is its turn, or no more.
func (r *Reconciler) mark(ctx context.Context, m *clusterv1.Machine, turn bool) error {
	before := m.DeepCopy()
	if turn {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, capstanv1.ReplaceAnnotation, capstanv1.ReplaceForSpread)
	} else {
		delete(m.Annotations, capstanv1.ReplaceAnnotation)
	}
	if err := r.Client.Patch(ctx, m, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the annotation %s of Machine %s: %w", capstanv1.ReplaceAnnotation, m.Name, err)
	}
	return nil
}

// finish ends a rebalancing that has nothing left to do.
func (r *Reconciler) finish(ctx context.Context, s *scope) error {
	status := s.wlc.Status.DeepCopy()
	before := s.wlc.DeepCopy()
	delete(s.wlc.Annotations, capstanv1.RebalanceAnnotation)
	if err := r.Client.Patch(ctx, s.wlc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner)); err != nil {
		return fmt.Errorf("removing the annotation %s of WorkloadCluster %s: %w", capstanv1.RebalanceAnnotation, s.wlc.Name, err)
	}
	s.wlc.Status = *status
	said := fmt.Sprintf("nothing better is possible; %s replaced", conditions.Counted(s.wlc.Status.Rebalance.Replaced, "machine"))
	if skipped := s.wlc.Status.Rebalance.Skipped; len(skipped) > 0 {
		said += "; " + strings.Join(skipped, ", ") + " cannot be"
	}
	s.wlc.Status.Rebalance = nil
	r.Events.Eventf(s.wlc, nil, corev1.EventTypeNormal, "Rebalanced", "Rebalance", "%s", said)
	return nil
}

// stop takes back what has not begun, where nobody asks for it any more.
func (r *Reconciler) stop(ctx context.Context, s *scope) error {
	if s.wlc.Status.Rebalance == nil {
		return nil
	}
	if turn := s.whoseTurn(); turn != nil && turn.DeletionTimestamp.IsZero() {
		if err := r.mark(ctx, turn, false); err != nil {
			return err
		}
	}
	s.wlc.Status.Rebalance = nil
	return nil
}

// setStatus tells how far the rebalancing is.
func setStatus(s *scope) {
	status := s.wlc.Status.Rebalance
	if status == nil {
		conditions.Remove(s.wlc, capstanv1.RebalancingCondition)
		return
	}
	if s.waits == "" {
		return
	}
	reason := capstanv1.ReasonProgressing
	if s.held {
		reason = capstanv1.ReasonRepairHeld
	}
	conditions.True(s.wlc, capstanv1.RebalancingCondition, reason, "%s; %s replaced", s.waits, conditions.Counted(status.Replaced, "machine"))
}
