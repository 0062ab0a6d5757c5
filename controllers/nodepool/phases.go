package nodepool

import (
	"cmp"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/translate"
	"github.com/capstan-k8s/capstan/internal/vmimage"
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
// cluster goes.
func (r *Reconciler) joinCluster(ctx context.Context, s *scope) error {
	if apply.OwnedBy(s.pool, s.cluster.UID) {
		return nil
	}
	before := s.pool.DeepCopy()
	s.pool.OwnerReferences = append(withoutFormerClusters(s.pool.OwnerReferences), metav1.OwnerReference{
		APIVersion: capstanv1.GroupVersion.String(), Kind: "WorkloadCluster", Name: s.cluster.Name, UID: s.cluster.UID,
	})
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

// resolveImage chooses the image for a version. While that is held back, an image
// named for the cluster's next version waits, and the nodes keep theirs.
func (r *Reconciler) resolveImage(ctx context.Context, s *scope, version string, existing *clusterv1.MachineDeployment) (string, error) {
	images := &capstanv1.VMImageList{}
	if err := r.Client.List(ctx, images); err != nil {
		return "", fmt.Errorf("listing VMImages: %w", err)
	}
	spec := s.pool.Spec
	image, err := vmimage.Find(images.Items, spec.OS, version, spec.Image)
	if err == nil {
		return image, nil
	}
	present := existing.Spec.Template.Spec.InfrastructureRef.Name
	if _, later := vmimage.Find(images.Items, spec.OS, s.cluster.Spec.Version, spec.Image); later != nil || present == "" {
		return "", fmt.Errorf("spec.image: %w", err)
	}
	template := &infrav1.HyperVMachineTemplate{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.pool.Namespace, Name: present}, template); err != nil {
		return "", fmt.Errorf("reading HyperVMachineTemplate %s: %w", present, err)
	}
	return template.Spec.Template.Spec.Image, nil
}

// wantedVersion is the cluster's, once every control-plane machine has it:
// kubelet must never be newer than the API server. Until then the pool stays at
// what it has, and a new one begins with the oldest control-plane machine's.
func wantedVersion(cluster *capstanv1.WorkloadCluster, existing *clusterv1.MachineDeployment) string {
	if cluster.Status.Version == cluster.Spec.Version {
		return cluster.Spec.Version
	}
	return cmp.Or(existing.Spec.Template.Spec.Version, cluster.Status.Version, cluster.Spec.Version)
}

// observe reads what the status is made from.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	machines := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(s.pool.Namespace), client.MatchingLabels(translate.MachineLabels(s.pool))); err != nil {
		return fmt.Errorf("listing HyperVMachines: %w", err)
	}
	s.machines = machines.Items
	return nil
}
