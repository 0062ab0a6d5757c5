package nodepool

import (
	"context"
	"fmt"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// keepWithinBounds brings the number of nodes, which is the cluster autoscaler's
// to choose, to the nearest that the bounds allow: it takes over only from there.
// Cluster API does so when the number is handed over, and never again after that.
func (r *Reconciler) keepWithinBounds(ctx context.Context, s *scope) error {
	bounds, md := s.pool.Spec.Autoscaling, s.deployment
	if bounds == nil || !md.DeletionTimestamp.IsZero() {
		return nil
	}
	present := md.Spec.Replicas
	if present == nil && s.existing != nil {
		present = s.existing.Spec.Replicas
	}
	wanted := within(bounds, ptr.Deref(present, bounds.Min))
	if md.Spec.Replicas != nil && *md.Spec.Replicas == wanted {
		return nil
	}
	before := md.DeepCopy()
	md.Spec.Replicas = &wanted
	// The autoscaler may have chosen another number meanwhile.
	if err := r.Client.Patch(ctx, md, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner)); err != nil {
		return fmt.Errorf("bringing MachineDeployment %s to %d nodes: %w", md.Name, wanted, err)
	}
	return nil
}

func within(bounds *capstanv1.Autoscaling, n int32) int32 {
	return min(max(n, bounds.Min), bounds.Max)
}
