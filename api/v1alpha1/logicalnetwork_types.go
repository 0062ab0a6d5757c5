package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LogicalNetworkSpec describes a network that VMs are in.
type LogicalNetworkSpec struct {
	// switch is the name of the virtual switch on the hosts.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Switch string `json:"switch"`

	// vlan is the access VLAN of the VMs, 0 for none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4094
	VLAN int32 `json:"vlan,omitempty"`

	// subnets are the networks of addresses; one for now, IPv4.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	Subnets []Subnet `json:"subnets"`

	// dnsServers are asked by the guests.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.53"
	DNSServers []string `json:"dnsServers,omitempty"`

	// searchDomains are tried by the guests for short names.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	SearchDomains []string `json:"searchDomains,omitempty"`

	// mtu of the guests' adapters. Defaults to what the adapter says.
	// +optional
	// +kubebuilder:validation:Minimum=1280
	// +kubebuilder:validation:Maximum=9216
	MTU int32 `json:"mtu,omitempty"`
}

// Subnet is a network of addresses with the ranges that Capstan may give out.
// +kubebuilder:validation:XValidation:rule="isCIDR(self.cidr) && cidr(self.cidr).ip().family() == 4",message="cidr must be an IPv4 network, such as 10.0.0.0/24: IPv6 is not supported yet"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || !has(self.gateway) || !isIP(self.gateway) || cidr(self.cidr).containsIP(self.gateway)",message="gateway must be an address in cidr"
// +kubebuilder:validation:XValidation:rule="has(self.nodeRanges) != has(self.nodesFrom)",message="set nodeRanges, or nodesFrom for a pool of another provider"
// +kubebuilder:validation:XValidation:rule="has(self.vipRanges) != has(self.vipsFrom)",message="set vipRanges, or vipsFrom for a pool of another provider"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || !has(self.nodeRanges) || self.nodeRanges.all(r, !isIP(r.start) || !isIP(r.end) || (cidr(self.cidr).containsIP(r.start) && cidr(self.cidr).containsIP(r.end)))",message="nodeRanges must lie in cidr"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || !has(self.vipRanges) || self.vipRanges.all(r, !isIP(r.start) || !isIP(r.end) || (cidr(self.cidr).containsIP(r.start) && cidr(self.cidr).containsIP(r.end)))",message="vipRanges must lie in cidr"
type Subnet struct {
	// cidr is the network, such as 10.0.0.0/24.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	CIDR string `json:"cidr"`

	// gateway is the guests' default router.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.1"
	Gateway string `json:"gateway,omitempty"`

	// nodeRanges are the addresses that VMs get.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	NodeRanges []AddressRange `json:"nodeRanges,omitempty"`

	// vipRanges are the virtual addresses of load balancers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	VIPRanges []AddressRange `json:"vipRanges,omitempty"`

	// nodesFrom is a pool of another provider of Cluster API's IPAM contract, from which
	// VMs get their addresses in place of nodeRanges. It cannot be changed while the
	// network is used.
	// +optional
	NodesFrom *PoolReference `json:"nodesFrom,omitempty"`

	// vipsFrom is such a pool for the virtual addresses of load balancers, in place of
	// vipRanges. It cannot be changed while the network is used.
	// +optional
	VIPsFrom *PoolReference `json:"vipsFrom,omitempty"`
}

// PoolReference names a pool of another provider of Cluster API's IPAM contract. One
// that is not of the whole cluster must be there in each namespace with clusters.
type PoolReference struct {
	// apiGroup of the pool, such as ipam.cluster.x-k8s.io.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self != 'capstan.dev'",message="capstan.dev has no other pools than LogicalNetworks: set ranges here"
	APIGroup string `json:"apiGroup"`

	// kind of the pool, such as GlobalInClusterIPPool.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$`
	Kind string `json:"kind"`

	// name of the pool.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// AddressRange is a run of addresses, both ends included.
type AddressRange struct {
	// start is the first address.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.10"
	Start string `json:"start"`

	// end is the last address.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.99"
	End string `json:"end"`
}

// LogicalNetworkStatus is the observed state of a network.
type LogicalNetworkStatus struct {
	// conditions tell how the network is. AddressesAvailable is False while a
	// range is full.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// nodes counts the addresses for VMs, unless another provider does.
	// +optional
	Nodes *AddressCounts `json:"nodes,omitempty"`

	// vips counts the virtual addresses, unless another provider does.
	// +optional
	VIPs *AddressCounts `json:"vips,omitempty"`

	// users are those who hold most, at most 16 of them, the greatest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Users []NetworkUser `json:"users,omitempty"`

	// unclaimed is what is held although its claim is gone, at most 16 of it, what has
	// been held so longest first. unclaimedCount counts all of it.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +kubebuilder:validation:MaxItems=16
	Unclaimed []UnclaimedAddress `json:"unclaimed,omitempty"`

	// unclaimedCount is how many addresses and virtual router IDs are held although their
	// claims are gone.
	// +optional
	UnclaimedCount int32 `json:"unclaimedCount,omitempty"`
}

// Bounds of what the status of a LogicalNetwork lists.
const (
	MostNetworkUsers = 16
	MostUnclaimed    = 16
)

// NetworkUser is a cluster that holds addresses of a network.
type NetworkUser struct {
	// namespace of the claims.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// clusterName is the Cluster that they are for, empty for those that name none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ClusterName string `json:"clusterName,omitempty"`

	// addresses is how many addresses for VMs are held.
	// +optional
	Addresses int32 `json:"addresses"`

	// virtualAddresses is how many virtual addresses are held.
	// +optional
	VirtualAddresses int32 `json:"virtualAddresses"`
}

// UnclaimedReason is why something stays held although its claim is gone.
// +kubebuilder:validation:Enum=Buried;InUse;GracePeriod;WaitingForHost;OrphansFound;ForeignUser
type UnclaimedReason string

// Reasons why something stays held.
const (
	// UnclaimedBuried: a Tombstone says that its VM may still run.
	UnclaimedBuried UnclaimedReason = "Buried"
	// UnclaimedInUse: there is a VM or load balancer that it was for, or that has it.
	UnclaimedInUse UnclaimedReason = "InUse"
	// UnclaimedGracePeriod: nobody is known to use it, and hosts are asked a while later.
	UnclaimedGracePeriod UnclaimedReason = "GracePeriod"
	// UnclaimedWaitingForHost: nobody is known to use it, and not every host has said what
	// it holds.
	UnclaimedWaitingForHost UnclaimedReason = "WaitingForHost"
	// UnclaimedOrphansFound: a host has a VM, without an object, that may use it.
	UnclaimedOrphansFound UnclaimedReason = "OrphansFound"
	// UnclaimedForeignUser: it was given to another provider's object, of which nothing but
	// whoever looks after it can tell whether it has it still.
	UnclaimedForeignUser UnclaimedReason = "ForeignUser"
)

// UnclaimedAddress is an address, or a virtual router ID, that is held although its claim
// is gone.
type UnclaimedAddress struct {
	// address that is held, or a virtual router ID, such as vrid/17.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address"`

	// claim is the namespace and name of the IPAddressClaim that it was held for.
	// +required
	// +kubebuilder:validation:MaxLength=507
	Claim string `json:"claim"`

	// reason is why it stays held.
	// +required
	Reason UnclaimedReason `json:"reason"`

	// since is when its Tombstone was written, or when the manager that works now found
	// nobody any more who uses it; of what is in use it is when it was given out.
	// +required
	Since metav1.Time `json:"since"`

	// message says who holds it, or what it waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// AddressCounts counts addresses: total is used, reserved and free together.
type AddressCounts struct {
	// total is how many the ranges hold.
	// +optional
	Total int64 `json:"total"`

	// used is how many are given out to claims.
	// +optional
	Used int64 `json:"used"`

	// reserved is how many are kept from everybody although their claim is gone: because
	// somebody may still use them, which status.unclaimed tells of each.
	// +optional
	Reserved int64 `json:"reserved"`

	// free is how many are left.
	// +optional
	Free int64 `json:"free"`
}

// LogicalNetwork is a network that VMs are in, and a pool of addresses for
// Cluster API's IPAM contract.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=lnet,categories=capstan
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Switch",type=string,JSONPath=`.spec.switch`
// +kubebuilder:printcolumn:name="VLAN",type=integer,JSONPath=`.spec.vlan`
// +kubebuilder:printcolumn:name="Subnet",type=string,JSONPath=`.spec.subnets[0].cidr`
// +kubebuilder:printcolumn:name="Nodes Used",type=integer,JSONPath=`.status.nodes.used`
// +kubebuilder:printcolumn:name="Nodes Free",type=integer,JSONPath=`.status.nodes.free`
// +kubebuilder:printcolumn:name="VIPs Used",type=integer,JSONPath=`.status.vips.used`
// +kubebuilder:printcolumn:name="VIPs Free",type=integer,JSONPath=`.status.vips.free`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Nodes Reserved",type=integer,priority=1,JSONPath=`.status.nodes.reserved`
// +kubebuilder:printcolumn:name="VIPs Reserved",type=integer,priority=1,JSONPath=`.status.vips.reserved`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type LogicalNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the network.
	// +required
	Spec LogicalNetworkSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status LogicalNetworkStatus `json:"status,omitzero"`
}

// LogicalNetworkList is a list of LogicalNetworks.
// +kubebuilder:object:root=true
type LogicalNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LogicalNetwork `json:"items"`
}

// GetConditions returns the conditions.
func (n *LogicalNetwork) GetConditions() []metav1.Condition { return n.Status.Conditions }

// SetConditions sets the conditions.
func (n *LogicalNetwork) SetConditions(conditions []metav1.Condition) {
	n.Status.Conditions = conditions
}
