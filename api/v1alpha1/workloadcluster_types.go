package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkloadClusterSpec is the wanted state of a workload cluster.
type WorkloadClusterSpec struct {
	// version is the Kubernetes version of the cluster, such as v1.36.3. The control
	// plane is rolled to it first, then every NodePool that does not say otherwise.
	// It can be raised by one minor version at a time. While a roll-out goes on, a
	// change to the next minor version is queued until the control plane has settled
	// and no node would be too old for it; another patch of the same minor version
	// takes the roll-out's place at once. What is queued, and a patch that not every
	// control-plane machine has yet, can be taken back; otherwise the version cannot
	// be lowered.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^v[0-9]+[.][0-9]+[.][0-9]+$')",message="version must be of the form vX.Y.Z, such as v1.36.3"
	Version string `json:"version"`

	// logicalNetwork is the name of the LogicalNetwork the machines and the VIP
	// are in.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="logicalNetwork cannot be changed: make a new WorkloadCluster in the other network"
	LogicalNetwork string `json:"logicalNetwork"`

	// controlPlane describes the control-plane machines.
	// +optional
	// +kubebuilder:default={}
	ControlPlane ControlPlaneSpec `json:"controlPlane,omitzero"`

	// endpoint is how clients reach the API server.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="endpoint cannot be changed: the cluster's certificates and nodes hold it"
	Endpoint EndpointSpec `json:"endpoint,omitzero"`

	// loadBalancer describes the load-balancer VMs in front of the API server.
	// +optional
	// +kubebuilder:default={}
	LoadBalancer LoadBalancerSettings `json:"loadBalancer,omitzero"`

	// clusterNetwork holds the networks inside the cluster.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterNetwork cannot be changed once the cluster exists"
	ClusterNetwork ClusterNetwork `json:"clusterNetwork,omitzero"`

	// guestSettings are told to every machine of the cluster at its first boot.
	// +optional
	GuestSettings GuestSettings `json:"guestSettings,omitzero"`

	// nodePoolDefaults hold for the NodePools of this cluster that say nothing
	// else.
	// +optional
	// +kubebuilder:default={}
	NodePoolDefaults NodePoolDefaults `json:"nodePoolDefaults,omitzero"`

	// addons says what runs in the cluster besides Kubernetes itself.
	// +optional
	Addons Addons `json:"addons,omitzero"`

	// paused holds all work on the cluster and its NodePools: roll-outs, scaling,
	// repair and deletion stand still until it is false again. What runs goes on
	// running.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// deletionProtection refuses the deletion of the cluster, of what stands for it
	// (the Cluster, KubeadmControlPlane, HyperVCluster and LoadBalancer), and of the
	// namespace it is in, until it is false again. NodePools can be deleted.
	// +optional
	DeletionProtection bool `json:"deletionProtection,omitempty"`
}

// ControlPlaneSpec describes the control-plane machines.
type ControlPlaneSpec struct {
	// replicas is the number of control-plane machines, each with a member of
	// etcd. It is odd, so that a majority is always well defined.
	// Defaults to 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=7
	// +kubebuilder:validation:XValidation:rule="self % 2 == 1",message="replicas must be odd (1, 3, 5 or 7): etcd needs a majority"
	Replicas *int32 `json:"replicas,omitempty"`

	// size of each control-plane machine.
	// Defaults to 2 cpus, 4Gi of memory and a boot disk of 40Gi.
	// +optional
	// +kubebuilder:default={cpus: 2, memory: "4Gi", bootDisk: "40Gi"}
	Size MachineSize `json:"size,omitzero"`

	// image is the name of the VMImage to boot. Defaults to the Linux image of
	// the cluster's version.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`

	// placement says where the control-plane machines may be. A change replaces them.
	// +optional
	Placement *PlacementRules `json:"placement,omitempty"`
}

// EndpointSpec is how clients reach the API server.
type EndpointSpec struct {
	// port is the TCP port of the API server on the VIP.
	// Defaults to 6443.
	// +optional
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// dnsName is a name for the VIP that the API server's certificates hold
	// besides the address. The record itself is yours to make.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	DNSName string `json:"dnsName,omitempty"`
}

// ClusterNetwork holds the networks inside the cluster.
type ClusterNetwork struct {
	// podCIDRs are the networks of pods.
	// Defaults to 10.244.0.0/16.
	// +optional
	// +listType=atomic
	// +kubebuilder:default={"10.244.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",message="must be an IPv4 network, such as 10.244.0.0/16"
	PodCIDRs []string `json:"podCIDRs,omitempty"`

	// serviceCIDRs are the networks of services.
	// Defaults to 10.96.0.0/16.
	// +optional
	// +listType=atomic
	// +kubebuilder:default={"10.96.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",message="must be an IPv4 network, such as 10.96.0.0/16"
	ServiceCIDRs []string `json:"serviceCIDRs,omitempty"`

	// serviceDomain is the DNS domain of services.
	// Defaults to cluster.local.
	// +optional
	// +kubebuilder:default="cluster.local"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	ServiceDomain string `json:"serviceDomain,omitempty"`
}

// NodePoolDefaults hold for NodePools that say nothing else.
type NodePoolDefaults struct {
	// size of each node.
	// Defaults to 2 cpus, 4Gi of memory and a boot disk of 40Gi.
	// +optional
	// +kubebuilder:default={cpus: 2, memory: "4Gi", bootDisk: "40Gi"}
	Size MachineSize `json:"size,omitzero"`
}

// WorkloadClusterStatus is the observed state of a workload cluster.
type WorkloadClusterStatus struct {
	// conditions tell how the cluster is. Ready sums up LoadBalancerReady,
	// ControlPlaneReady and NodePoolsReady, and the network plugin if it is installed by
	// Capstan; AddonsReady, which is there as long as there are addons, sums up those.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// version is the lowest version that a control-plane machine runs.
	// +optional
	Version string `json:"version,omitempty"`

	// targetVersion is the version that the control plane has, or is being brought
	// to: spec.version, unless that is queued.
	// +optional
	TargetVersion string `json:"targetVersion,omitempty"`

	// endpoint is where the API server is reached.
	// +optional
	Endpoint *Endpoint `json:"endpoint,omitempty"`

	// kubeconfigSecret is the name of the Secret whose key value is the
	// administrator's kubeconfig.
	// +optional
	KubeconfigSecret string `json:"kubeconfigSecret,omitempty"`

	// controlPlane counts the control-plane machines.
	// +optional
	ControlPlane *ReplicaCounts `json:"controlPlane,omitempty"`

	// nodes counts the machines of all NodePools.
	// +optional
	Nodes *ReplicaCounts `json:"nodes,omitempty"`

	// spread tells how unevenly the machines are spread over failure domains, hosts and
	// volumes, as of when the cluster was Ready last.
	// +optional
	Spread *SpreadStatus `json:"spread,omitempty"`

	// rebalance tells how far the rebalancing is that the annotation capstan.dev/rebalance
	// asks for.
	// +optional
	Rebalance *RebalanceStatus `json:"rebalance,omitempty"`

	// addons tell how each addon is, in the order of the spec.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Addons []AddonStatus `json:"addons,omitempty"`
}

// ReplicaCounts counts machines.
type ReplicaCounts struct {
	// wanted is how many there shall be.
	// +optional
	Wanted int32 `json:"wanted"`

	// ready is how many are ready.
	// +optional
	Ready int32 `json:"ready"`

	// summary is ready/wanted, for tables.
	// +optional
	Summary string `json:"summary,omitempty"`
}

// WorkloadCluster is a Kubernetes cluster on Hyper-V hosts.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wlc,categories=capstan
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Wanted",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Control Plane",type=string,JSONPath=`.status.controlPlane.summary`
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.status.nodes.summary`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint.host`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40",message="metadata.name must have at most 40 characters: the host names <name>-control-plane-xxxxx are made from it"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must begin with a letter and hold only lower-case letters, digits and '-': host names are made from it"
type WorkloadCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the wanted state.
	// +required
	Spec WorkloadClusterSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status WorkloadClusterStatus `json:"status,omitzero"`
}

// WorkloadClusterList is a list of WorkloadClusters.
// +kubebuilder:object:root=true
type WorkloadClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkloadCluster `json:"items"`
}

// GetConditions returns the conditions.
func (c *WorkloadCluster) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions sets the conditions.
func (c *WorkloadCluster) SetConditions(conditions []metav1.Condition) {
	c.Status.Conditions = conditions
}

// MemoryMiB returns the memory in mebibytes, rounded up.
func (s *MachineSize) MemoryMiB() int64 { return mebibytes(&s.Memory) }

// BootDiskBytes returns the virtual size of the boot disk in bytes.
func (s *MachineSize) BootDiskBytes() int64 { return s.BootDisk.Value() }

func mebibytes(q *resource.Quantity) int64 { return (q.Value() + 1<<20 - 1) >> 20 }
