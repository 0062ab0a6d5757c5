package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HyperVHostSpec is what an administrator says of a host.
type HyperVHostSpec struct {
	// endpoint is the address and port of the host's agent, such as
	// hv1.factory.local:9440.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=260
	// +kubebuilder:validation:Pattern=`^[^\s/]+:[0-9]{1,5}$`
	Endpoint string `json:"endpoint"`

	// enrolmentTokenSecret is the name of a Secret in the manager's namespace whose
	// key token is the one-time token that the agent was installed with. It is
	// needed for the first contact only, and deleted after it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	EnrolmentTokenSecret string `json:"enrolmentTokenSecret,omitempty"`

	// failureDomain is the rack, room or site that the host fails with. It may be
	// changed at any time.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailureDomain string `json:"failureDomain,omitempty"`

	// reservedMemory is kept for the host itself.
	// Defaults to 2Gi.
	// +optional
	// +kubebuilder:default="2Gi"
	// +kubebuilder:validation:XValidation:rule="!quantity(string(self)).isLessThan(quantity('0'))",message="reservedMemory cannot be negative"
	ReservedMemory resource.Quantity `json:"reservedMemory,omitempty"`

	// unschedulable keeps new VMs off the host. What runs there stays.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`

	// maintenance readies the host for work on it, or for being taken away. With Drain
	// nothing new lands there, and what Capstan runs there is made anew elsewhere, within
	// the roll-out limits of each pool, one member of a control plane at a time, and a
	// load balancer's VM after its successor has joined. VMs that a failover cluster moves
	// away by itself are left as they are. status.maintenance and the condition Drained
	// tell how far that is. Removing the field undoes it: what is still there stays.
	// +optional
	Maintenance HostMaintenance `json:"maintenance,omitempty"`

	// lost declares that the host is gone for good. Machines that were on it, or on its
	// failover cluster once all of that is lost, are replaced. The deletion of a VM that
	// was on it then writes a Tombstone instead of waiting; should the host come back,
	// its agent removes what is buried before it starts anything.
	// +optional
	Lost bool `json:"lost,omitempty"`
}

// HyperVHostStatus is the observed state of a host.
type HyperVHostStatus struct {
	// conditions tell how the host is. Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// agent tells of the host's agent.
	// +optional
	Agent *HostAgent `json:"agent,omitempty"`

	// failoverCluster is the name of the failover cluster the host is a member of.
	// +optional
	FailoverCluster string `json:"failoverCluster,omitempty"`

	// processors is the number of logical processors.
	// +optional
	Processors int32 `json:"processors,omitempty"`

	// memory is all memory of the host.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`

	// memoryFree is the memory that no VM uses.
	// +optional
	MemoryFree *resource.Quantity `json:"memoryFree,omitempty"`

	// volumes are the cluster shared volumes that the host sees.
	// +optional
	// +listType=map
	// +listMapKey=name
	Volumes []HostVolume `json:"volumes,omitempty"`

	// switches are the names of the virtual switches.
	// +optional
	// +listType=set
	Switches []string `json:"switches,omitempty"`

	// orphans are what the host holds with this installation's stamp although there is no
	// object for it any more, the oldest first. The condition FreeOfOrphans tells how many
	// there are in all. Of a failover cluster each is told of once.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=64
	Orphans []HostOrphan `json:"orphans,omitempty"`

	// vms is how many of Capstan's VMs the host runs.
	// +optional
	VMs int32 `json:"vms"`

	// maintenance tells how far spec.maintenance is. It is there as long as that is.
	// +optional
	Maintenance *HostMaintenanceStatus `json:"maintenance,omitempty"`
}

// HostAgent is what an agent says of itself.
type HostAgent struct {
	// version of the agent.
	// +optional
	Version string `json:"version,omitempty"`

	// driver that it uses, such as hyperv.
	// +optional
	Driver string `json:"driver,omitempty"`

	// hostName is the host's own name, which VMs report as the host they are on.
	// +optional
	HostName string `json:"hostName,omitempty"`

	// hypervisorVersion is the version of the hypervisor.
	// +optional
	HypervisorVersion string `json:"hypervisorVersion,omitempty"`

	// bootID changes whenever the host was restarted.
	// +optional
	BootID string `json:"bootID,omitempty"`

	// lastAnswerTime is when the agent answered last. While it answers this is written
	// every five minutes only; once it is silent, it is that moment.
	// +optional
	LastAnswerTime *metav1.Time `json:"lastAnswerTime,omitempty"`
}

// HostVolume is a cluster shared volume, or on a stand-alone host a plain one.
type HostVolume struct {
	// name of the volume.
	// +required
	Name string `json:"name"`

	// capacity of the volume.
	// +required
	Capacity resource.Quantity `json:"capacity"`

	// free is what is not written yet.
	// +required
	Free resource.Quantity `json:"free"`

	// provisioned is the sum of the virtual sizes of all disks on it; it may be
	// more than the capacity.
	// +optional
	Provisioned resource.Quantity `json:"provisioned,omitempty"`

	// fault is what is wrong with the volume, empty if nothing is.
	// +optional
	// +kubebuilder:validation:Enum="";Redirected;Maintenance;NoAccess;Dismounted
	Fault string `json:"fault,omitempty"`

	// faultSince is since when the host reports that fault.
	// +optional
	FaultSince *metav1.Time `json:"faultSince,omitempty"`

	// images are the checksums of the images that are staged on it.
	// +optional
	// +listType=set
	Images []string `json:"images,omitempty"`
}

// HyperVHost is a Hyper-V host with a Capstan agent.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=hvh,categories=capstan
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Failover Cluster",type=string,JSONPath=`.status.failoverCluster`
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.failureDomain`
// +kubebuilder:printcolumn:name="CPUs",type=integer,JSONPath=`.status.processors`
// +kubebuilder:printcolumn:name="Memory",type=string,JSONPath=`.status.memory`
// +kubebuilder:printcolumn:name="Free",type=string,JSONPath=`.status.memoryFree`
// +kubebuilder:printcolumn:name="VMs",type=integer,JSONPath=`.status.vms`
// +kubebuilder:printcolumn:name="Drained",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type HyperVHost struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the administrator says.
	// +required
	Spec HyperVHostSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1,"vms":0}
	Status HyperVHostStatus `json:"status,omitzero"`
}

// HyperVHostList is a list of HyperVHosts.
// +kubebuilder:object:root=true
type HyperVHostList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HyperVHost `json:"items"`
}

// GetConditions returns the conditions.
func (h *HyperVHost) GetConditions() []metav1.Condition { return h.Status.Conditions }

// SetConditions sets the conditions.
func (h *HyperVHost) SetConditions(conditions []metav1.Condition) { h.Status.Conditions = conditions }

// SpeaksFor tells whether the host speaks for a place: it is the host itself, or
// a member of the failover cluster, whose every node answers for all of it.
func (h *HyperVHost) SpeaksFor(failoverCluster, host string) bool {
	if failoverCluster != "" {
		return h.Status.FailoverCluster == failoverCluster
	}
	return h.Name == host
}
