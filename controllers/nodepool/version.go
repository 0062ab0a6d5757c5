package nodepool

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/kubeversion"
	"github.com/capstan-k8s/capstan/internal/translate"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

// versionError says that no node could be made at the version of the spec.
type versionError struct{ message string }

// Error implements error.
func (e *versionError) Error() string { return e.message }

// versionPlan is the version that the nodes shall have now.
type versionPlan struct {
	version string
	// reason and waits say why that is not the one they shall have in the end.
	reason, waits string
}

// planVersion decides from what the nodes have, which is "" before there are any.
// They are never ahead of the oldest control-plane machine, and follow the cluster
// only once the whole control plane is where it shall be. Only a version of the
// pool's own takes them back. Nodes join in the minor version of the control plane
// alone, so a pool that is behind by more than a patch stays what it is until it is
// brought there.
func planVersion(pool *capstanv1.NodePool, cluster *capstanv1.WorkloadCluster, have string) (versionPlan, error) {
	target := cmp.Or(cluster.Status.TargetVersion, cluster.Spec.Version)
	lowest := cmp.Or(cluster.Status.Version, target)
	wanted := pool.Spec.Version
	switch {
	case wanted == "":
		return followCluster(cluster, lowest, target, have), nil
	case wanted == have:
		return versionPlan{version: have}, nil
	case kubeversion.Less(lowest, wanted):
		return waitForControlPlane(cmp.Or(have, lowest), wanted), nil
	case kubeversion.SameMinor(wanted, lowest):
		return versionPlan{version: wanted}, nil
	}
	message := fmt.Sprintf("no node at %s could join the control plane at %s: set spec.version to a patch of that minor version, or leave it out", wanted, lowest)
	if have == "" {
		return versionPlan{}, &versionError{message}
	}
	return versionPlan{have, capstanv1.ReasonInvalidSpec, message}, nil
}

func waitForControlPlane(version, wanted string) versionPlan {
	return versionPlan{version, capstanv1.ReasonWaitingForControlPlane, "waiting for the control plane to be at " + wanted}
}

func followCluster(cluster *capstanv1.WorkloadCluster, lowest, target, have string) versionPlan {
	version := cmp.Or(have, lowest)
	if cluster.Status.Version == target && kubeversion.Less(version, target) {
		version = target
	}
	if kubeversion.Less(version, cluster.Spec.Version) {
		return waitForControlPlane(version, cluster.Spec.Version)
	}
	return versionPlan{version: version}
}

// lag warns of what a pool cannot do that is behind by a minor version or more.
func lag(version string, cluster *capstanv1.WorkloadCluster) string {
	if cluster.Status.Version == "" || version == "" || kubeversion.SameMinor(version, cluster.Status.Version) {
		return ""
	}
	return fmt.Sprintf("at %s none can be added or repaired, since nodes join the control plane in its own minor version only: raise spec.version to %s",
		version, cluster.Status.Version)
}

// resolveImage chooses the image for a version. While that is held back, an image
// named for the next version waits, and the nodes keep theirs.
func (r *Reconciler) resolveImage(ctx context.Context, s *scope, version string, existing *clusterv1.MachineDeployment) (translate.NodeImage, error) {
	images := &capstanv1.VMImageList{}
	if err := r.Client.List(ctx, images); err != nil {
		return translate.NodeImage{}, fmt.Errorf("listing VMImages: %w", err)
	}
	spec := s.pool.Spec
	name, err := vmimage.Find(images.Items, spec.OS, version, spec.Image)
	if err == nil {
		i := slices.IndexFunc(images.Items, func(image capstanv1.VMImage) bool { return image.Name == name })
		return translate.NodeImage{Name: name, Size: images.Items[i].Spec.Size}, nil
	}
	present := existing.Spec.Template.Spec.InfrastructureRef.Name
	next := cmp.Or(spec.Version, s.cluster.Spec.Version)
	if _, later := vmimage.Find(images.Items, spec.OS, next, spec.Image); later != nil || present == "" {
		return translate.NodeImage{}, fmt.Errorf("spec.image: %w", err)
	}
	template := &infrav1.HyperVMachineTemplate{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.pool.Namespace, Name: present}, template); err != nil {
		return translate.NodeImage{}, fmt.Errorf("reading HyperVMachineTemplate %s: %w", present, err)
	}
	kept := template.Spec.Template.Spec
	return translate.NodeImage{Name: kept.Image, Size: kept.Size.BootDisk}, nil
}
