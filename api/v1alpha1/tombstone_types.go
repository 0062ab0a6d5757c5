package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TombstoneSpec says which VM must die.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a tombstone cannot be changed"
type TombstoneSpec struct {
	// id is the identity of the VM.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	ID string `json:"id"`

	// vmRef is the VirtualMachine that it was, which may be gone.
	// +required
	VMRef VMReference `json:"vmRef"`

	// host is the HyperVHost it was placed on.
	// +required
	Host string `json:"host"`

	// failoverCluster of that host, if any.
	// +optional
	FailoverCluster string `json:"failoverCluster,omitempty"`

	// disks are the volumes of its disks.
	// +optional
	// +listType=map
	// +listMapKey=name
	Disks []DiskPlacement `json:"disks,omitempty"`

	// addresses stay reserved until the tombstone is honoured.
	// +optional
	// +listType=atomic
	Addresses []ReservedAddress `json:"addresses,omitempty"`
}

// VMReference names a VirtualMachine.
type VMReference struct {
	// namespace of the VirtualMachine.
	// +required
	Namespace string `json:"namespace"`

	// name of the VirtualMachine.
	// +required
	Name string `json:"name"`
}

// ReservedAddress is an address that a buried VM may still use.
type ReservedAddress struct {
	// logicalNetwork is the name of the LogicalNetwork.
	// +required
	LogicalNetwork string `json:"logicalNetwork"`

	// address that stays reserved. Of a load-balancer VM it may also be a virtual
	// router ID, such as vrid/17.
	// +required
	Address string `json:"address"`
}

// TombstoneStatus is how far a tombstone is.
type TombstoneStatus struct {
	// conditions tell whether it is honoured.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// Tombstone is a VM that must die although nobody can reach it now. It goes when
// its host confirms that nothing is left, or when its host is removed for good.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tomb,categories=capstan
// +kubebuilder:printcolumn:name="VM",type=string,JSONPath=`.spec.vmRef.name`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.vmRef.namespace`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Tombstone struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says which VM must die.
	// +required
	Spec TombstoneSpec `json:"spec"`

	// status is how far it is.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status TombstoneStatus `json:"status,omitzero"`
}

// TombstoneList is a list of Tombstones.
// +kubebuilder:object:root=true
type TombstoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Tombstone `json:"items"`
}

// GetConditions returns the conditions.
func (t *Tombstone) GetConditions() []metav1.Condition { return t.Status.Conditions }

// SetConditions sets the conditions.
func (t *Tombstone) SetConditions(conditions []metav1.Condition) { t.Status.Conditions = conditions }

// IsHonoured tells whether nothing of its VM is left.
func (t *Tombstone) IsHonoured() bool { return t.Annotations[HonouredAnnotation] != "" }

// Holds tells whether its VM may still use an address.
func (t *Tombstone) Holds(address ReservedAddress) bool {
	return !t.IsHonoured() && slices.Contains(t.Spec.Addresses, address)
}
