package admission

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/kubeversion"
)

// validatePoolVersion refuses a version of a pool's own that its nodes can never
// have beside their control plane. One that the cluster is being raised to is
// waited for.
func validatePoolVersion(ctx context.Context, live client.Reader, path *field.Path, pool *capstanv1.NodePool, cluster *capstanv1.WorkloadCluster) (field.ErrorList, error) {
	wanted := pool.Spec.Version
	if wanted == "" {
		return nil, nil
	}
	if errs := validateVersion(path, wanted); len(errs) > 0 || cluster == nil {
		return errs, nil
	}
	now, err := findRunning(ctx, live, cluster)
	if err != nil {
		return nil, err
	}
	behind, ok := kubeversion.MinorSteps(wanted, now.lowest)
	switch {
	case kubeversion.Less(cluster.Spec.Version, wanted):
		return field.ErrorList{field.Invalid(path, wanted, fmt.Sprintf(
			"is ahead of WorkloadCluster %s at %s: raise that first", cluster.Name, cluster.Spec.Version))}, nil
	case !ok || behind > kubeversion.MaxKubeletSkew:
		return field.ErrorList{field.Invalid(path, wanted, fmt.Sprintf(
			"nodes may be %d minor versions behind the control plane at most, which is at %s: use %s or later",
			kubeversion.MaxKubeletSkew, now.lowest, kubeversion.OldestKubelet(now.lowest)))}, nil
	case behind > 0 && wanted != pool.Status.Version:
		return field.ErrorList{field.Invalid(path, wanted, fmt.Sprintf(
			"no node at it could join the control plane at %s: use a patch of that minor version%s, or leave it out", now.lowest, orKeep(pool)))}, nil
	}
	return nil, nil
}

func orKeep(pool *capstanv1.NodePool) string {
	if pool.Status.Version == "" {
		return ""
	}
	return ", or what the nodes have (" + pool.Status.Version + ")"
}

// versionOf is what a pool shall have in the end.
func versionOf(pool *capstanv1.NodePool, cluster *capstanv1.WorkloadCluster) string {
	return cmp.Or(pool.Spec.Version, cluster.Spec.Version)
}

// versionPath is the field to change where there is no image for the version.
func versionPath(spec *field.Path, pool *capstanv1.NodePool) *field.Path {
	if pool.Spec.Version != "" {
		return spec.Child("version")
	}
	return spec.Child("os")
}
