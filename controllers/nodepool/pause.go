package nodepool

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// pausedError says that the work on the cluster stands still, and how it goes on.
type pausedError struct{ cluster string }

// Error implements error.
func (e *pausedError) Error() string {
	return fmt.Sprintf("WorkloadCluster %s is paused: roll-outs, scaling, repair and deletion stand still until its spec.paused is false", e.cluster)
}

// holdWhilePaused makes and changes nothing while the cluster is paused.
func (r *Reconciler) holdWhilePaused(_ context.Context, s *scope) error {
	if s.cluster.Spec.Paused {
		return &pausedError{s.cluster.Name}
	}
	return nil
}

// holdDeletionWhilePaused holds the end of a pool likewise: no machine of it would
// go.
func (r *Reconciler) holdDeletionWhilePaused(ctx context.Context, s *scope) error {
	key := client.ObjectKey{Namespace: s.pool.Namespace, Name: s.pool.Spec.ClusterName}
	cluster := &capstanv1.WorkloadCluster{}
	if err := r.Client.Get(ctx, key, cluster); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading WorkloadCluster %s: %w", key, err)
		}
		return nil
	}
	s.cluster = cluster
	return r.holdWhilePaused(ctx, s)
}

func setPaused(s *scope) {
	if s.cluster != nil && s.cluster.Spec.Paused {
		conditions.True(s.pool, capstanv1.PausedCondition, capstanv1.ReasonPaused, "%s", &pausedError{s.cluster.Name})
		return
	}
	conditions.Remove(s.pool, capstanv1.PausedCondition)
}
