package capi

import (
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	addonsv1 "sigs.k8s.io/cluster-api/api/addons/v1beta2"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	runtimev1 "sigs.k8s.io/cluster-api/api/runtime/v1beta2"
	"sigs.k8s.io/cluster-api/util/contract"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=list

const (
	// partOfLabel with the value partOf marks what Capstan has installed. The
	// generator of config/capi sets it on every object.
	partOfLabel = "app.kubernetes.io/part-of"
	partOf      = "capstan"
)

// kinds are all kinds whose CRDs belong to this Cluster API.
var kinds = []schema.GroupKind{
	{Group: addonsv1.GroupVersion.Group, Kind: "ClusterResourceSet"},
	{Group: addonsv1.GroupVersion.Group, Kind: "ClusterResourceSetBinding"},
	{Group: bootstrapv1.GroupVersion.Group, Kind: "KubeadmConfig"},
	{Group: bootstrapv1.GroupVersion.Group, Kind: "KubeadmConfigTemplate"},
	{Group: clusterv1.GroupVersion.Group, Kind: "Cluster"},
	{Group: clusterv1.GroupVersion.Group, Kind: "ClusterClass"},
	{Group: clusterv1.GroupVersion.Group, Kind: "Machine"},
	{Group: clusterv1.GroupVersion.Group, Kind: "MachineDeployment"},
	{Group: clusterv1.GroupVersion.Group, Kind: "MachineDrainRule"},
	{Group: clusterv1.GroupVersion.Group, Kind: "MachineHealthCheck"},
	{Group: clusterv1.GroupVersion.Group, Kind: "MachinePool"},
	{Group: clusterv1.GroupVersion.Group, Kind: "MachineSet"},
	{Group: controlplanev1.GroupVersion.Group, Kind: "KubeadmControlPlane"},
	{Group: controlplanev1.GroupVersion.Group, Kind: "KubeadmControlPlaneTemplate"},
	{Group: ipamv1.GroupVersion.Group, Kind: "IPAddress"},
	{Group: ipamv1.GroupVersion.Group, Kind: "IPAddressClaim"},
	{Group: runtimev1.GroupVersion.Group, Kind: "ExtensionConfig"},
}

func crdName(gk schema.GroupKind) string { return contract.CalculateCRDName(gk.Group, gk.Kind) }

// MissingError says which CRDs of Cluster API are not installed.
type MissingError struct {
	// CRDs are the names of the missing ones.
	CRDs []string
}

// Error names the missing CRDs and what to do.
func (e *MissingError) Error() string {
	return "the CRDs of the embedded Cluster API are not installed: apply Capstan's install manifest first (missing: " +
		strings.Join(e.CRDs, ", ") + ")"
}

// RequireCRDs fails with a MissingError unless every CRD of Cluster API is
// there, whoever installed it. The reader must not be a cache: it is asked
// before caches start.
func RequireCRDs(ctx context.Context, reader client.Reader) error {
	installed, err := installedCRDs(ctx, reader)
	if err != nil {
		return err
	}
	missing := &MissingError{}
	for _, kind := range kinds {
		if _, found := installed[crdName(kind)]; !found {
			missing.CRDs = append(missing.CRDs, crdName(kind))
		}
	}
	if len(missing.CRDs) > 0 {
		return missing
	}
	return nil
}

// installedCRDs returns the metadata of every CRD by its name: the CRDs
// themselves are megabytes.
func installedCRDs(ctx context.Context, reader client.Reader) (map[string]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := reader.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing the CRDs: %w", err)
	}
	installed := map[string]metav1.PartialObjectMetadata{}
	for _, crd := range list.Items {
		installed[crd.Name] = crd
	}
	return installed, nil
}
