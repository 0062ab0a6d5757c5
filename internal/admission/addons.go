package admission

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// validateCNIChange refuses another network plugin, or another way for it to carry
// traffic, in a cluster where Capstan has applied one and found it well: the pods that
// run would lose their network.
func validateCNIChange(old, wlc *capstanv1.WorkloadCluster) field.ErrorList {
	applied := slices.ContainsFunc(old.Status.Addons, func(a capstanv1.AddonStatus) bool {
		return a.Name == capstanv1.CNIAddon && a.Revision != ""
	})
	if !applied || wlc.Annotations[capstanv1.AllowCNIChangeAnnotation] == "true" {
		return nil
	}
	path := field.NewPath("spec", "addons", "cni")
	was, is := &old.Spec.Addons.CNI, &wlc.Spec.Addons.CNI
	refuse := func(at *field.Path, value any, what string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, value, fmt.Sprintf(
			"%s, and the cluster's pods would lose their network: annotate the WorkloadCluster with %s=true to change it nevertheless, and restart all nodes afterwards",
			what, capstanv1.AllowCNIChangeAnnotation))}
	}
	switch {
	case was.Name != is.Name:
		return refuse(path.Child("name"), is.Name, fmt.Sprintf("%s is applied", was.Name))
	case was.Brings() != is.Brings():
		return refuse(path.Child("configMapRefs"), len(is.ConfigMapRefs), fmt.Sprintf("another edition of %s is applied", was.Name))
	case was.Installs() && !is.Installs():
		return refuse(path.Child("configMapRefs"), len(is.ConfigMapRefs), fmt.Sprintf("%s is applied from ConfigMaps", was.Name))
	case backendOf(was) != backendOf(is):
		return refuse(path.Child("flannel", "backend"), backendOf(is), fmt.Sprintf("nodes carry traffic by %s", backendOf(was)))
	}
	return nil
}

func backendOf(cni *capstanv1.CNI) capstanv1.FlannelBackend {
	if cni.Flannel == nil || cni.Flannel.Backend == "" {
		return capstanv1.FlannelHostGateway
	}
	return cni.Flannel.Backend
}

// warnCNI tells who has to install the network plugin, if nobody else says so.
func warnCNI(wlc *capstanv1.WorkloadCluster) admission.Warnings {
	cni := &wlc.Spec.Addons.CNI
	if cni.Name == "" || cni.Installs() {
		return nil
	}
	return admission.Warnings{fmt.Sprintf(
		"spec.addons.cni: %s is not installed: name its manifests in configMapRefs, or install it yourself. Nodes become ready only then", cni.Name)}
}

// warnFlannelOnWindows tells that the Flannel that Capstan brings is for Linux nodes.
func warnFlannelOnWindows(cluster *capstanv1.WorkloadCluster, pools []string) admission.Warnings {
	if !cluster.Spec.Addons.CNI.Brings() || len(pools) == 0 {
		return nil
	}
	return admission.Warnings{fmt.Sprintf(
		"spec.addons.cni: the Flannel that Capstan brings is for Linux nodes, and these NodePools are of Windows nodes: %s. Have Calico or Antrea installed from configMapRefs instead, or add what Flannel needs on Windows to manifests",
		strings.Join(pools, ", "))}
}
