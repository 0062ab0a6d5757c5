package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// HyperVMachineSpec is the VM of a Machine.
type HyperVMachineSpec struct {
	// providerID is the providerID of the machine's node. The controller sets it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ProviderID string `json:"providerID,omitempty"`

	// os is the family of operating system.
	// Defaults to Linux.
	// +optional
	// +kubebuilder:default=Linux
	OS capstanv1.OS `json:"os,omitempty"`

	// size of the VM.
	// Defaults to 2 cpus, 4Gi of memory and a boot disk of 40Gi.
	// +optional
	// +kubebuilder:default={cpus: 2, memory: "4Gi", bootDisk: "40Gi"}
	Size capstanv1.MachineSize `json:"size,omitzero"`

	// image is the name of the VMImage to boot. Its Kubernetes version must be
	// the Machine's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image"`

	// networks are the networks of the adapters, in order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	Networks []capstanv1.VMNetwork `json:"networks"`

	// placement says where the VM may be.
	// +optional
	Placement *capstanv1.PlacementRules `json:"placement,omitempty"`

	// guestSettings are told to the guest at its first boot.
	// +optional
	GuestSettings capstanv1.GuestSettings `json:"guestSettings,omitzero"`
}

// HyperVMachineStatus is the observed state.
type HyperVMachineStatus struct {
	// conditions tell how the machine is. Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// initialization tells whether the first provisioning is over.
	// +optional
	Initialization Initialization `json:"initialization,omitempty,omitzero"`

	// addresses of the machine.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Addresses []clusterv1.MachineAddress `json:"addresses,omitempty"`

	// failureDomain the machine is in.
	// +optional
	FailureDomain string `json:"failureDomain,omitempty"`

	// host is the name of the HyperVHost it is on now.
	// +optional
	Host string `json:"host,omitempty"`

	// volumes are the volumes of its disks, for tables.
	// +optional
	Volumes string `json:"volumes,omitempty"`

	// fault is for what the machine is replaced unless it ends before. It is there as long
	// as there is one.
	// +optional
	Fault *MachineFault `json:"fault,omitempty"`
}

// MachineFault is a cause to replace a machine.
type MachineFault struct {
	// reason is the one that Ready bears for it, unless its replacement is held or refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`

	// since is since when there is this cause, whatever else was wrong before.
	// +required
	Since metav1.Time `json:"since"`
}

// HyperVMachine is the VM of a Cluster API Machine on Hyper-V.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=hypervmachines,categories={cluster-api,capstan}
// +kubebuilder:metadata:labels={"cluster.x-k8s.io/v1beta2=v1alpha1"}
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.status.host`
// +kubebuilder:printcolumn:name="Volumes",type=string,JSONPath=`.status.volumes`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[?(@.type=="InternalIP")].address`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type HyperVMachine struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the VM.
	// +required
	Spec HyperVMachineSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status HyperVMachineStatus `json:"status,omitzero"`
}

// HyperVMachineList is a list of HyperVMachines.
// +kubebuilder:object:root=true
type HyperVMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HyperVMachine `json:"items"`
}

// GetConditions returns the conditions.
func (m *HyperVMachine) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions sets the conditions.
func (m *HyperVMachine) SetConditions(conditions []metav1.Condition) {
	m.Status.Conditions = conditions
}

// HyperVMachineTemplateSpec holds the template.
type HyperVMachineTemplateSpec struct {
	// template of the HyperVMachines.
	// +required
	Template HyperVMachineTemplateResource `json:"template"`
}

// HyperVMachineTemplateResource is the template of HyperVMachines.
type HyperVMachineTemplateResource struct {
	// metadata of the HyperVMachines.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of the HyperVMachines.
	// +required
	Spec HyperVMachineSpec `json:"spec"`
}

// HyperVMachineTemplateStatus tells an autoscaler what a machine would have.
type HyperVMachineTemplateStatus struct {
	// capacity of a machine made from the template, for scaling from zero.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// nodeInfo of a machine made from the template, for scaling from zero.
	// +optional
	NodeInfo NodeInfo `json:"nodeInfo,omitempty,omitzero"`
}

// NodeInfo is the platform of a node.
type NodeInfo struct {
	// architecture of the node.
	// +optional
	// +kubebuilder:validation:Enum=amd64;arm64
	Architecture string `json:"architecture,omitempty"`

	// operatingSystem of the node.
	// +optional
	// +kubebuilder:validation:Enum=linux;windows
	OperatingSystem string `json:"operatingSystem,omitempty"`
}

// HyperVMachineTemplate is a template of HyperVMachines.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=hypervmachinetemplates,categories=cluster-api
// +kubebuilder:metadata:labels={"cluster.x-k8s.io/v1beta2=v1alpha1"}
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.template.spec.image`
// +kubebuilder:printcolumn:name="CPUs",type=integer,JSONPath=`.spec.template.spec.size.cpus`
// +kubebuilder:printcolumn:name="Memory",type=string,JSONPath=`.spec.template.spec.size.memory`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HyperVMachineTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec holds the template. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a template cannot be changed: make a new one and refer to it"
	Spec HyperVMachineTemplateSpec `json:"spec"`

	// status tells an autoscaler what a machine would have.
	// +optional
	Status HyperVMachineTemplateStatus `json:"status,omitzero"`
}

// HyperVMachineTemplateList is a list of HyperVMachineTemplates.
// +kubebuilder:object:root=true
type HyperVMachineTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HyperVMachineTemplate `json:"items"`
}
