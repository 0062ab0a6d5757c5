package nodepool

import (
	"cmp"
	"context"
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

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
