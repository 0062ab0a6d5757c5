package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the types in this package.
var GroupVersion = schema.GroupVersion{Group: "infrastructure.cluster.x-k8s.io", Version: "v1alpha1"}

var (
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types in this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&HyperVCluster{}, &HyperVClusterList{},
		&HyperVClusterTemplate{}, &HyperVClusterTemplateList{},
		&HyperVMachine{}, &HyperVMachineList{},
		&HyperVMachineTemplate{}, &HyperVMachineTemplateList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// Finalizers.
const (
	// HyperVClusterFinalizer holds a HyperVCluster until its LoadBalancer is gone.
	HyperVClusterFinalizer = "hypervcluster.infrastructure.cluster.x-k8s.io"
	// HyperVMachineFinalizer holds a HyperVMachine until its VirtualMachine is
	// gone.
	HyperVMachineFinalizer = "hypervmachine.infrastructure.cluster.x-k8s.io"
)
