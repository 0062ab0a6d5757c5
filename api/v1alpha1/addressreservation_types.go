package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AddressReservationSpec says who holds an address.
// +kubebuilder:validation:XValidation:rule="has(self.userRef) || !has(oldSelf.userRef)",message="a reservation cannot be given to anybody else, only freed"
// +kubebuilder:validation:XValidation:rule="self.claimRef.uid == oldSelf.claimRef.uid || has(oldSelf.userRef)",message="a reservation passes to a later claim only of whom it is for: free it"
// +kubebuilder:validation:XValidation:rule="!has(self.userRef) || !has(oldSelf.userRef) || self.userRef.uid == oldSelf.userRef.uid || self.claimRef.uid != oldSelf.claimRef.uid",message="a reservation cannot be given to anybody else, only freed"
type AddressReservationSpec struct {
	// logicalNetwork is the name of the LogicalNetwork.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	LogicalNetwork string `json:"logicalNetwork"`

	// address that is held.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	Address string `json:"address"`

	// claimRef is the IPAddressClaim that it is held for.
	// +required
	ClaimRef ClaimReference `json:"claimRef"`

	// userRef is who the claim was made for, which tells when nobody has the address any
	// more though the claim went by force. It is missing where nobody controls the claim, and
	// is written later where nobody wrote it down when the claim was answered.
	// +optional
	UserRef *UserReference `json:"userRef,omitempty"`
}

// UserReference names who uses an address, such as a VirtualMachine or a LoadBalancer of
// the claim's namespace.
// +kubebuilder:validation:XValidation:rule="has(self.vmID) == has(oldSelf.vmID)",message="a reservation cannot be given to anybody else, only freed"
// +kubebuilder:validation:XValidation:rule="has(self.apiGroup) == has(oldSelf.apiGroup)",message="a reservation cannot be given to anybody else, only freed"
type UserReference struct {
	// apiGroup of the user. It is missing for what is of the core group, and where nobody
	// wrote it down.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	APIGroup string `json:"apiGroup,omitempty"`

	// kind of the user.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	Kind string `json:"kind"`

	// name of the user.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	Name string `json:"name"`

	// uid of the user. It changes when the user was made again from a backup, and its claim
	// with it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	UID string `json:"uid"`

	// vmID is the identity of the VM, where the user is one: hosts know it by that.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	VMID string `json:"vmID,omitempty"`
}

// ClaimReference names an IPAddressClaim.
type ClaimReference struct {
	// namespace of the claim.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	Namespace string `json:"namespace"`

	// name of the claim.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a reservation cannot be given to anybody else, only freed"
	Name string `json:"name"`

	// uid of the claim. It changes when the user makes a claim of the same name again after
	// this one went by force.
	// +required
	// +kubebuilder:validation:MaxLength=63
	UID string `json:"uid"`
}

// AddressReservation holds one address of a LogicalNetwork. Its name is made
// from network and address, so the API server itself makes it impossible to give
// an address out twice.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=ares
// +kubebuilder:printcolumn:name="Network",type=string,JSONPath=`.spec.logicalNetwork`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.claimRef.namespace`
// +kubebuilder:printcolumn:name="Claim",type=string,JSONPath=`.spec.claimRef.name`
// +kubebuilder:printcolumn:name="For",type=string,JSONPath=`.spec.userRef.kind`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.userRef.name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AddressReservation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says who holds the address.
	// +required
	Spec AddressReservationSpec `json:"spec"`
}

// AddressReservationList is a list of AddressReservations.
// +kubebuilder:object:root=true
type AddressReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressReservation `json:"items"`
}
