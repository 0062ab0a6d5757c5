package admission

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/kubeversion"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// Kubernetes versions of workload clusters that the embedded Cluster API
// supports.
// Source: Cluster API book, version support, release 1.14.
var (
	oldestWorkload = version.MustParseSemantic("v1.31.0")
	newestMinor    = version.MustParseSemantic("v1.37.0")
)

// validateVersion refuses what is out of the supported range. The form is
// checked by the schema.
func validateVersion(path *field.Path, value string) field.ErrorList {
	v, err := version.ParseSemantic(value)
	if err != nil {
		return field.ErrorList{field.Invalid(path, value, "must be of the form vX.Y.Z, such as v1.36.3")}
	}
	if v.LessThan(oldestWorkload) || v.Major() > newestMinor.Major() || v.Minor() > newestMinor.Minor() {
		return field.ErrorList{field.Invalid(path, value,
			fmt.Sprintf("is out of the supported range: use v%d.%d.x to v%d.%d.x",
				oldestWorkload.Major(), oldestWorkload.Minor(), newestMinor.Major(), newestMinor.Minor()))}
	}
	return nil
}

// running is what the control plane of a cluster has.
type running struct {
	// target is the version it has or is being brought to, and lowest that of its
	// oldest machine.
	target, lowest string
}

// findRunning reads what runs. Before there is a control plane, that is what the
// cluster was to have.
func findRunning(ctx context.Context, live client.Reader, cluster *capstanv1.WorkloadCluster) (running, error) {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: translate.ControlPlaneName(cluster.Name)}
	kcp := &controlplanev1.KubeadmControlPlane{}
	switch err := live.Get(ctx, key, kcp); {
	case apierrors.IsNotFound(err):
		return running{cluster.Spec.Version, cluster.Spec.Version}, nil
	case err != nil:
		return running{}, fmt.Errorf("reading KubeadmControlPlane %s: %w", key.Name, err)
	}
	versions := []string{kcp.Spec.Version}
	for _, v := range kcp.Status.Versions {
		versions = append(versions, v.Version)
	}
	return running{kcp.Spec.Version, kubeversion.Oldest(versions...)}, nil
}

// validateVersionChange refuses what kubeadm cannot do: going back, and leaving
// out a minor version. What counts is what runs: a change that is only queued can
// be taken back, and so can a patch that not every machine has yet.
func validateVersionChange(path *field.Path, now running, from, to string) field.ErrorList {
	steps, ok := kubeversion.MinorSteps(now.target, to)
	if !ok || from == to {
		return nil
	}
	switch {
	case steps < 0:
		return field.ErrorList{field.Invalid(path, to, fmt.Sprintf("a cluster cannot go back from %s: keep it, or make a new WorkloadCluster", now.target))}
	case steps == 0 && kubeversion.Less(to, now.lowest):
		return field.ErrorList{field.Invalid(path, to, fmt.Sprintf("a cluster cannot go back from %s: keep it, or make a new WorkloadCluster", now.lowest))}
	case steps > 1 && now.target != from:
		return field.ErrorList{field.Invalid(path, to, fmt.Sprintf("leaves out a minor version: the control plane is at %s, and %s is queued", now.target, from))}
	case steps > 1:
		return field.ErrorList{field.Invalid(path, to, fmt.Sprintf("leaves out a minor version: from %s go to %s first", now.target, kubeversion.NextMinor(now.target)))}
	}
	return nil
}

// validateHeldPools refuses a version that a pool which is held at its own would
// be too old for.
func validateHeldPools(path *field.Path, pools []capstanv1.NodePool, now running, to string) field.ErrorList {
	var errs field.ErrorList
	for i := range pools {
		pool := &pools[i]
		behind, ok := kubeversion.MinorSteps(pool.Spec.Version, to)
		if !ok || behind <= kubeversion.MaxKubeletSkew {
			continue
		}
		errs = append(errs, field.Invalid(path, to, fmt.Sprintf(
			"NodePool %s is held at %s, and nodes may be %d minor versions behind the control plane at most: set its spec.version to %s, or leave it out, and wait until its nodes have that",
			pool.Name, pool.Spec.Version, kubeversion.MaxKubeletSkew, now.lowest)))
	}
	return errs
}
