package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VMImageSpec describes an image that VMs boot.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an image cannot be changed: make a new VMImage, with its own name, for new content"
type VMImageSpec struct {
	// os is the family of operating system in the image.
	// Defaults to Linux.
	// +optional
	// +kubebuilder:default=Linux
	OS OS `json:"os,omitempty"`

	// kubernetesVersion is the version of kubelet and kubeadm in the image, such
	// as v1.36.3.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^v[0-9]+\.[0-9]+\.[0-9]+$`
	KubernetesVersion string `json:"kubernetesVersion"`

	// source is where the hosts fetch the image: an https URL, or an SMB path such
	// as \\files\images\linux.vhdx.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Source string `json:"source"`

	// sha256 is the checksum of the source, in hexadecimal digits.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256"`

	// size is the virtual size of the disk in the image. Boot disks are at least
	// as large.
	// +required
	Size resource.Quantity `json:"size"`
}

// VMImageStatus is the observed state of an image.
type VMImageStatus struct {
	// conditions tell how the image is. Ready is True when it can be used: staged,
	// or to be staged when first needed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// staged lists where the image lies: "failover cluster or host/volume".
	// +optional
	// +listType=set
	Staged []string `json:"staged,omitempty"`
}

// VMImage is an image that VMs boot.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=vmi,categories=capstan
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.spec.os`
// +kubebuilder:printcolumn:name="Kubernetes",type=string,JSONPath=`.spec.kubernetesVersion`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.spec.size`
// +kubebuilder:printcolumn:name="Staged On",type=string,priority=1,JSONPath=`.status.staged`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type VMImage struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the image.
	// +required
	Spec VMImageSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status VMImageStatus `json:"status,omitzero"`
}

// VMImageList is a list of VMImages.
// +kubebuilder:object:root=true
type VMImageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VMImage `json:"items"`
}

// GetConditions returns the conditions.
func (i *VMImage) GetConditions() []metav1.Condition { return i.Status.Conditions }

// SetConditions sets the conditions.
func (i *VMImage) SetConditions(conditions []metav1.Condition) { i.Status.Conditions = conditions }
