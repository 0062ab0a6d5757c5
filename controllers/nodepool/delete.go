package nodepool

import (
	"context"
	"fmt"

	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/templates"
)

// delete takes the pool's machines away, then what they were made from.
func (r *Reconciler) delete(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.pool, capstanv1.NodePoolFinalizer) {
		return nil
	}
	if err := r.holdDeletionWhilePaused(ctx, s); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(s.pool)
	// The health check goes first: it must not call for the repair of machines
	// that are being taken away.
	if _, err := r.applier.Delete(ctx, s.pool, &clusterv1.MachineHealthCheck{}, key); err != nil {
		return err
	}
	deployment := &clusterv1.MachineDeployment{}
	gone, err := r.applier.Delete(ctx, s.pool, deployment, key)
	if err != nil {
		return err
	}
	if !gone {
		s.left = fmt.Sprintf("waiting for %s to go", conditions.Counted(ptr.Deref(deployment.Status.Replicas, 0), "machine"))
		return nil
	}
	if err := templates.Prune(ctx, r.Client, s.pool, "", "", client.MatchingLabels{capstanv1.NodePoolLabel: s.pool.Name}); err != nil {
		return err
	}
	before := s.pool.DeepCopy()
	controllerutil.RemoveFinalizer(s.pool, capstanv1.NodePoolFinalizer)
	if err := r.Client.Patch(ctx, s.pool, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from NodePool %s: %w", key, err)
	}
	return nil
}
