package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the types in this package.
var GroupVersion = schema.GroupVersion{Group: "capstan.dev", Version: "v1alpha1"}

var (
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types in this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&WorkloadCluster{}, &WorkloadClusterList{},
		&NodePool{}, &NodePoolList{},
		&LoadBalancer{}, &LoadBalancerList{},
		&HyperVHost{}, &HyperVHostList{},
		&LogicalNetwork{}, &LogicalNetworkList{},
		&VMImage{}, &VMImageList{},
		&VirtualMachine{}, &VirtualMachineList{},
		&AddressReservation{}, &AddressReservationList{},
		&Tombstone{}, &TombstoneList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
