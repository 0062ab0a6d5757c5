package admission

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// windowsNetworkPlugins are those to choose from.
func windowsNetworkPlugins() string {
	var names []string
	for _, name := range []capstanv1.CNIName{capstanv1.CNIAntrea, capstanv1.CNICalico, capstanv1.CNICilium, capstanv1.CNIFlannel} {
		if name.SupportsWindows() {
			names = append(names, string(name))
		}
	}
	return strings.Join(names, ", ")
}

// validateWindowsPool refuses Windows nodes whose names would be cut off, or that
// would have no network.
func validateWindowsPool(pool *capstanv1.NodePool, cluster *capstanv1.WorkloadCluster) field.ErrorList {
	if pool.Spec.OS != capstanv1.OSWindows {
		return nil
	}
	var errs field.ErrorList
	if len(pool.Name) > translate.MaxWindowsPoolName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), pool.Name, fmt.Sprintf(
			"must have at most %d characters for os Windows: the computer names <name>-xxxxx are made from it, which have at most 15", translate.MaxWindowsPoolName)))
	}
	if cluster != nil && !cluster.Spec.Addons.CNI.Name.SupportsWindows() {
		errs = append(errs, field.Invalid(field.NewPath("spec", "os"), pool.Spec.OS, fmt.Sprintf(
			"the network plugin of WorkloadCluster %s, %s (addons.cni.name), does not run on Windows: use one that does (%s), or Linux",
			cluster.Name, cluster.Spec.Addons.CNI.Name, windowsNetworkPlugins())))
	}
	return errs
}

// warnWindowsPool tells of Windows nodes that may have no network.
func warnWindowsPool(ctx context.Context, live client.Reader, pool *capstanv1.NodePool) (admission.Warnings, error) {
	if pool.Spec.OS != capstanv1.OSWindows {
		return nil, nil
	}
	cluster := &capstanv1.WorkloadCluster{}
	err := live.Get(ctx, client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}, cluster)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading WorkloadCluster %s: %w", pool.Spec.ClusterName, err)
	case cluster.Spec.Addons.CNI.Name != "":
		return warnFlannelOnWindows(cluster, []string{pool.Name}), nil
	}
	return admission.Warnings{fmt.Sprintf(
		"spec.os: WorkloadCluster %s does not say which network plugin it has (addons.cni.name): Windows nodes need one that runs on Windows (%s)",
		cluster.Name, windowsNetworkPlugins())}, nil
}

// checkWindowsPools refuses a network plugin that leaves Windows nodes of the
// cluster without a network.
func checkWindowsPools(ctx context.Context, live client.Reader, cluster *capstanv1.WorkloadCluster) (field.ErrorList, error) {
	plugin := cluster.Spec.Addons.CNI.Name
	if plugin.SupportsWindows() {
		return nil, nil
	}
	names, err := windowsPoolsOf(ctx, live, cluster)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "addons", "cni", "name"), plugin, fmt.Sprintf(
		"does not run on Windows, and these NodePools do: %s. Use one that does (%s), or delete them first", strings.Join(names, ", "), windowsNetworkPlugins()))}, nil
}

// windowsPoolsOf returns the names of a cluster's pools of Windows nodes, but for those
// that go.
func windowsPoolsOf(ctx context.Context, live client.Reader, cluster *capstanv1.WorkloadCluster) ([]string, error) {
	pools, err := poolsOf(ctx, live, cluster)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range pools {
		if pools[i].Spec.OS == capstanv1.OSWindows {
			names = append(names, pools[i].Name)
		}
	}
	return names, nil
}
