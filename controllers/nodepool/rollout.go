package nodepool

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// holdRollout keeps the nodes as they are until what they shall be has been left
// alone for a quiet period, so that of many edits in a row only the last is rolled
// out. It asks how long nothing was edited, never whether a roll-out is done: one
// that is stuck gives way to its correction. A spec that is never left alone is
// rolled out as it happens to be when the longest hold is over, and held anew.
func (r *Reconciler) holdRollout(_ context.Context, s *scope) error {
	status := &s.pool.Status
	if s.existing == nil || !s.objects.ReplacesNodes(s.existing) {
		status.PendingRollout = nil
		return nil
	}
	now, hash := r.Clock.Now(), s.objects.NodesHash()
	edited := &capstanv1.PendingRollout{Hash: hash, Since: metav1.NewMicroTime(now), HeldSince: metav1.NewMicroTime(now)}
	// A time to come was told by a clock that was wrong.
	switch p := status.PendingRollout; {
	case p == nil || p.HeldSince.After(now):
		status.PendingRollout = edited
	case p.Hash != hash || p.Since.After(now):
		edited.HeldSince = p.HeldSince
		status.PendingRollout = edited
	}
	s.begins = status.PendingRollout.Since.Add(r.RolloutQuietPeriod)
	s.latest = status.PendingRollout.HeldSince.Add(r.RolloutLongestHold)
	if s.latest.Before(s.begins) {
		s.begins = s.latest
	}
	if wait := s.begins.Sub(now); wait > 0 {
		s.held, s.after = true, wait
		s.objects.KeepNodes(s.existing)
	}
	return nil
}

// letFirstNodesThrough takes a pause back while there is no MachineSet yet: a
// paused MachineDeployment makes none, and what is paused is the replacement of
// nodes, not the pool.
func (r *Reconciler) letFirstNodesThrough(ctx context.Context, s *scope) error {
	if s.objects.Machines.Spec.Paused == nil {
		return nil
	}
	sets := &clusterv1.MachineSetList{}
	if err := r.Client.List(ctx, sets, client.InNamespace(s.pool.Namespace),
		client.MatchingLabels{clusterv1.MachineDeploymentNameLabel: s.pool.Name}); err != nil {
		return fmt.Errorf("listing MachineSets: %w", err)
	}
	if len(sets.Items) == 0 {
		s.objects.Machines.Spec.Paused = nil
	}
	return nil
}
