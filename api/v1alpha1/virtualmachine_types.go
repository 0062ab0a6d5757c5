package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VMRole is what a VM is for. It decides which VMs are kept apart.
// +kubebuilder:validation:Enum=ControlPlane;Worker;LoadBalancer
type VMRole string

// Roles of VMs.
const (
	RoleControlPlane VMRole = "ControlPlane"
	RoleWorker       VMRole = "Worker"
	RoleLoadBalancer VMRole = "LoadBalancer"
)

// VMPhase is how far a VM is. docs/virtualmachine-states.md draws the phases.
type VMPhase string

// Phases of a VM, in their order.
const (
	VMPending    VMPhase = "Pending"
	VMAddressing VMPhase = "Addressing"
	VMPlacing    VMPhase = "Placing"
	VMStaging    VMPhase = "Staging"
	VMCreating   VMPhase = "Creating"
	VMStarting   VMPhase = "Starting"
	VMRunning    VMPhase = "Running"
	VMDeleting   VMPhase = "Deleting"
)

// VirtualMachineSpec is the wanted state of a VM. What it is made of never
// changes: another size or image is another VM.
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.id) || (has(self.id) && self.id == oldSelf.id)",message="id is the identity of the VM and never changes"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.placement) || (has(self.placement) && self.placement == oldSelf.placement)",message="placement is decided once"
type VirtualMachineSpec struct {
	// id is the identity of the VM, on its host and in its node's providerID. It
	// is recorded before anything is created.
	// +optional
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	ID string `json:"id,omitempty"`

	// clusterName is the name of the Cluster API Cluster the VM belongs to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName cannot be changed"
	ClusterName string `json:"clusterName"`

	// role is what the VM is for.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="role cannot be changed"
	Role VMRole `json:"role"`

	// group names VMs that are kept on different hosts and volumes where that is
	// possible.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`

	// os is the family of operating system.
	// Defaults to Linux.
	// +optional
	// +kubebuilder:default=Linux
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="os cannot be changed"
	OS OS `json:"os,omitempty"`

	// size of the VM.
	// +required
	Size MachineSize `json:"size"`

	// image is the name of the VMImage it boots.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="image cannot be changed"
	Image string `json:"image"`

	// networks are the networks of its adapters, in order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	Networks []VMNetwork `json:"networks"`

	// failureDomain is binding where it is set.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailureDomain string `json:"failureDomain,omitempty"`

	// avoidHosts are HyperVHosts that the VM is only placed on if no other has
	// room: what it replaces did not work there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=253
	AvoidHosts []string `json:"avoidHosts,omitempty"`

	// placementRules say where the VM may be. Once placement is decided they are met.
	// +optional
	PlacementRules *PlacementRules `json:"placementRules,omitempty"`

	// bootstrapSecret is the name of the Secret whose key value is the guest's
	// first configuration. Nothing is created before it is there.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	BootstrapSecret string `json:"bootstrapSecret,omitempty"`

	// retireSeed says that the guest is up and needs its seed no more: it is
	// detached and destroyed.
	// +optional
	RetireSeed bool `json:"retireSeed,omitempty"`

	// guestSettings are told to the guest at its first boot.
	// +optional
	GuestSettings GuestSettings `json:"guestSettings,omitzero"`

	// placement is where the VM was decided to be made.
	// +optional
	Placement *Placement `json:"placement,omitempty"`
}

// VMNetwork is the network of one adapter.
type VMNetwork struct {
	// logicalNetwork is the name of the LogicalNetwork.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LogicalNetwork string `json:"logicalNetwork"`
}

// Placement is where a VM is made.
type Placement struct {
	// host is the name of the HyperVHost.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host"`

	// failoverCluster of that host, if any. Its members speak for the VM when the
	// host is gone.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	FailoverCluster string `json:"failoverCluster,omitempty"`

	// disks are the volumes of the disks.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=17
	Disks []DiskPlacement `json:"disks"`
}

// DiskPlacement is where a disk is made.
type DiskPlacement struct {
	// name of the disk: boot, or that of a data disk.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Name string `json:"name"`

	// volume it lies on.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Volume string `json:"volume"`
}

// GuestInitialization is how the first configuration of a guest stands.
// +kubebuilder:validation:Enum=Running;Done;Failed
type GuestInitialization string

// States of a first configuration.
const (
	GuestInitializationRunning GuestInitialization = "Running"
	GuestInitializationDone    GuestInitialization = "Done"
	// GuestInitializationFailed: what the seed asks for was not done, and is not tried
	// again.
	GuestInitializationFailed GuestInitialization = "Failed"
)

// GuestReport is what the console of a guest tells of its first boot.
type GuestReport struct {
	// initialization is how far the first configuration is, the work of cloud-init or
	// cloudbase-init. It is not there if the console does not tell.
	// +optional
	Initialization GuestInitialization `json:"initialization,omitempty"`

	// stage is the stage of cloud-init that it is in or failed in.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Stage string `json:"stage,omitempty"`

	// console are the lines of the guest's console that explain why it is not up, or
	// the last ones, without secrets.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=256
	Console []string `json:"console,omitempty"`

	// observedTime is when this was read from the console. While the guest stays as it
	// is, it is read again now and then only.
	// +required
	ObservedTime metav1.Time `json:"observedTime"`
}

// VMSighting is a place where a VM was seen that it was not placed at.
type VMSighting struct {
	// host is the name of the HyperVHost that had the VM.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host"`

	// failoverCluster of that host, if any: each of its nodes can have the VM now.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	FailoverCluster string `json:"failoverCluster,omitempty"`

	// back tells that the VM was found where it belongs since.
	// +optional
	Back bool `json:"back,omitempty"`
}

// VirtualMachineStatus is the observed state of a VM.
type VirtualMachineStatus struct {
	// conditions tell how the VM is. Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is how far the VM is.
	// +optional
	// +kubebuilder:validation:Enum=Pending;Addressing;Placing;Staging;Creating;Starting;Running;Deleting
	Phase VMPhase `json:"phase,omitempty"`

	// host is the name of the HyperVHost it is on now; a failover cluster may have
	// moved it.
	// +optional
	Host string `json:"host,omitempty"`

	// failureDomain of that host when the VM was placed.
	// +optional
	FailureDomain string `json:"failureDomain,omitempty"`

	// addresses are the addresses it was given, in the order of its networks.
	// +optional
	// +listType=atomic
	Addresses []string `json:"addresses,omitempty"`

	// volumes are the volumes of its disks, for tables.
	// +optional
	Volumes string `json:"volumes,omitempty"`

	// progress of the work under way, in percent.
	// +optional
	Progress *int32 `json:"progress,omitempty"`

	// seedHash is the SHA-256 of the seed that was handed to the host.
	// +optional
	SeedHash string `json:"seedHash,omitempty"`

	// removalHost is the HyperVHost that was asked to remove the VM and has agreed. That
	// nothing of it is found there from then on is the end of it, and no other host need be
	// asked for it, unless it was seen elsewhere.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	RemovalHost string `json:"removalHost,omitempty"`

	// seenElsewhere is where the VM was seen last that is none of its place: somebody has
	// moved it there by hand. It stays until that place itself says that it does not have
	// the VM, however long it is silent, and whether or not the VM is back; or, if it is,
	// until no HyperVHost is left that could say it.
	// +optional
	SeenElsewhere *VMSighting `json:"seenElsewhere,omitempty"`

	// guest is what the guest's console tells. It is there if the first boot has
	// failed or takes long, until the guest is up.
	// +optional
	Guest *GuestReport `json:"guest,omitempty"`
}

// VirtualMachine is one VM on a Hyper-V host. Controllers write it, users read
// it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cvm,categories=capstan
// +kubebuilder:metadata:labels={"clusterctl.cluster.x-k8s.io/move=","clusterctl.cluster.x-k8s.io="}
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.status.host`
// +kubebuilder:printcolumn:name="Volumes",type=string,JSONPath=`.status.volumes`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0]`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ID",type=string,priority=1,JSONPath=`.spec.id`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must have at most 63 characters: it is the guest's host name"
type VirtualMachine struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the wanted state.
	// +required
	Spec VirtualMachineSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status VirtualMachineStatus `json:"status,omitzero"`
}

// VirtualMachineList is a list of VirtualMachines.
// +kubebuilder:object:root=true
type VirtualMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualMachine `json:"items"`
}

// GetConditions returns the conditions.
func (m *VirtualMachine) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions sets the conditions.
func (m *VirtualMachine) SetConditions(conditions []metav1.Condition) {
	m.Status.Conditions = conditions
}

// Explain tells in words why the guest is not up, or "" where nothing is known. The
// lines of its console stand below the first line.
func (g *GuestReport) Explain() string {
	if g == nil {
		return ""
	}
	of := ""
	if g.Stage != "" {
		of = " in stage " + g.Stage
	}
	text := "its console does not tell how far it is"
	switch g.Initialization {
	case GuestInitializationRunning:
		text = "its first configuration is under way" + of
	case GuestInitializationDone:
		text = "its first configuration is done"
	case GuestInitializationFailed:
		text = "its first configuration has failed" + of
	}
	if len(g.Console) == 0 {
		return text
	}
	return text + ". On its console:\n" + strings.Join(g.Console, "\n")
}

// ProviderID returns the providerID of the VM's node, or "" before its identity
// is recorded.
func (m *VirtualMachine) ProviderID() string {
	if m.Spec.ID == "" {
		return ""
	}
	return ProviderIDScheme + m.Spec.ID
}
