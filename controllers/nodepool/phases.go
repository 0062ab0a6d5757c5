package nodepool

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// noClusterError says that the cluster is not there, or not any more.
type noClusterError struct{ message string }

// Error implements error.
func (e *noClusterError) Error() string { return e.message }

// findCluster finds the WorkloadCluster. GitOps tools apply in any order, so one
// that is not there is waited for.
func (r *Reconciler) findCluster(ctx context.Context, s *scope) error {
	key := client.ObjectKey{Namespace: s.pool.Namespace, Name: s.pool.Spec.ClusterName}
	cluster := &capstanv1.WorkloadCluster{}
	switch err := r.Client.Get(ctx, key, cluster); {
	case apierrors.IsNotFound(err):
		return &noClusterError{fmt.Sprintf("waiting for WorkloadCluster %s to be made in namespace %s", key.Name, key.Namespace)}
	case err != nil:
		return fmt.Errorf("reading WorkloadCluster %s: %w", key, err)
	case !cluster.DeletionTimestamp.IsZero():
		return &noClusterError{fmt.Sprintf("WorkloadCluster %s is being deleted, and its nodes with it", key.Name)}
	}
	// Machines made for a Cluster that goes would hold up its deletion for ever.
	present := &clusterv1.Cluster{}
	switch err := r.Client.Get(ctx, key, present); {
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading Cluster %s: %w", key, err)
	case err == nil && !present.DeletionTimestamp.IsZero():
		return &noClusterError{fmt.Sprintf("Cluster %s is being deleted: waiting for WorkloadCluster %s to make it again", key.Name, key.Name)}
	}
	s.cluster = cluster
	return nil
}

// joinCluster makes the pool belong to its cluster, so that it goes when the
// cluster goes. The finalizer comes with that, before anything is made for the pool.
func (r *Reconciler) joinCluster(ctx context.Context, s *scope) error {
	before := s.pool.DeepCopy()
	changed := controllerutil.AddFinalizer(s.pool, capstanv1.NodePoolFinalizer)
	if !apply.OwnedBy(s.pool, s.cluster.UID) {
		s.pool.OwnerReferences = append(withoutFormerClusters(s.pool.OwnerReferences), metav1.OwnerReference{
			APIVersion: capstanv1.GroupVersion.String(), Kind: "WorkloadCluster", Name: s.cluster.Name, UID: s.cluster.UID,
		})
		changed = true
	}
	if !changed {
		return nil
	}
	if err := r.Client.Patch(ctx, s.pool, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("making NodePool %s belong to WorkloadCluster %s: %w", s.pool.Name, s.cluster.Name, err)
	}
	return nil
}

func withoutFormerClusters(refs []metav1.OwnerReference) []metav1.OwnerReference {
	var kept []metav1.OwnerReference
	for _, ref := range refs {
		if ref.Kind != "WorkloadCluster" {
			kept = append(kept, ref)
		}
	}
	return kept
}

// observe reads what the status is made from, in an order of its own: a cache has none,
// and the first that waits is told of.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	machines := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(s.pool.Namespace), client.MatchingLabels(translate.MachineLabels(s.pool))); err != nil {
		return fmt.Errorf("listing HyperVMachines: %w", err)
	}
	s.machines = machines.Items
	slices.SortFunc(s.machines, func(a, b infrav1.HyperVMachine) int { return strings.Compare(a.Name, b.Name) })
	sets := &clusterv1.MachineSetList{}
	if err := r.Client.List(ctx, sets, client.InNamespace(s.pool.Namespace), client.MatchingLabels(translate.MachineLabels(s.pool))); err != nil {
		return fmt.Errorf("listing MachineSets: %w", err)
	}
	s.sets = sets.Items
	slices.SortFunc(s.sets, func(a, b clusterv1.MachineSet) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
