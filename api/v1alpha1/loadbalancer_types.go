package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LoadBalancerSpec is the wanted state of a load balancer.
type LoadBalancerSpec struct {
	// clusterName is the name of the Cluster API Cluster, in the same namespace,
	// whose API server is balanced.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName cannot be changed: make a new LoadBalancer"
	ClusterName string `json:"clusterName"`

	// logicalNetwork is the name of the LogicalNetwork of VIP and VMs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="logicalNetwork cannot be changed: make a new LoadBalancer"
	LogicalNetwork string `json:"logicalNetwork"`

	// replicas is the number of VMs; one of them is active.
	// Defaults to 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`

	// size of each VM.
	// Defaults to 2 cpus, 2Gi of memory and a boot disk of 20Gi.
	// +optional
	// +kubebuilder:default={cpus: 2, memory: "2Gi", bootDisk: "20Gi"}
	Size MachineSize `json:"size,omitzero"`

	// image is the name of the VMImage the VMs boot.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image"`

	// apiServerPort is the TCP port of the API server, on the VIP and on the
	// machines.
	// Defaults to 6443.
	// +optional
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	APIServerPort int32 `json:"apiServerPort,omitempty"`

	// guestSettings are told to every VM at its first boot.
	// +optional
	GuestSettings GuestSettings `json:"guestSettings,omitzero"`

	// placement says where the VMs may be. A change replaces them.
	// +optional
	Placement *PlacementRules `json:"placement,omitempty"`

	// maxServiceVIPs is how many virtual addresses the Services of the cluster may
	// have together, the API server's not counted. A Service that would need one
	// more is told so, and waits. Lowering it takes no address away. Without it, the
	// network's vipRanges and what a load balancer carries (255) are the only bounds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	MaxServiceVIPs *int32 `json:"maxServiceVIPs,omitempty"`

	// services are the Services of type LoadBalancer in the cluster. They are written
	// by Capstan, which reads them in the cluster.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	Services []LoadBalancerService `json:"services,omitempty"`

	// nodes are the cluster's nodes that take connections to Services. They are
	// written by Capstan, and only as long as there are services.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=2000
	Nodes []LoadBalancerNode `json:"nodes,omitempty"`
}

// LoadBalancerStatus is the observed state of a load balancer.
type LoadBalancerStatus struct {
	// conditions tell how the load balancer is. Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// replicas is how many VMs there are.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is how many of them carry the newest plan.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// selector finds the VMs, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`

	// vips are the virtual addresses.
	// +optional
	// +listType=atomic
	VIPs []string `json:"vips,omitempty"`

	// vrid is the virtual router ID of the VMs in their network, 1 to 255.
	// +optional
	VRID int32 `json:"vrid,omitempty"`

	// planGeneration is the generation of the newest plan.
	// +optional
	PlanGeneration int64 `json:"planGeneration,omitempty"`

	// planHash is the hash of the newest plan, so that an unchanged plan keeps its
	// generation.
	// +optional
	PlanHash string `json:"planHash,omitempty"`

	// plannedGeneration is the generation of the spec that the newest plan was made
	// from.
	// +optional
	PlannedGeneration int64 `json:"plannedGeneration,omitempty"`

	// refusedServices are the services that are not carried.
	// +optional
	// +listType=map
	// +listMapKey=name
	RefusedServices []RefusedService `json:"refusedServices,omitempty"`

	// instances tells of each VM.
	// +optional
	// +listType=map
	// +listMapKey=name
	Instances []LoadBalancerInstance `json:"instances,omitempty"`
}

// LoadBalancerInstance is one VM of a load balancer.
type LoadBalancerInstance struct {
	// name of the VirtualMachine.
	// +required
	Name string `json:"name"`

	// host it runs on.
	// +optional
	Host string `json:"host,omitempty"`

	// address of its agent.
	// +optional
	Address string `json:"address,omitempty"`

	// role is Active or Standby, or Unknown while its agent does not answer.
	// +optional
	// +kubebuilder:validation:Enum=Active;Standby;Unknown
	Role string `json:"role,omitempty"`

	// appliedGeneration is the generation of the plan that it carries.
	// +optional
	AppliedGeneration int64 `json:"appliedGeneration,omitempty"`

	// since is when role or appliedGeneration last changed.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// message says what is wrong, if anything is.
	// +optional
	Message string `json:"message,omitempty"`
}

// LoadBalancer is a set of VMs that carry the VIPs of a cluster.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=clb,categories=capstan
// +kubebuilder:metadata:labels={"clusterctl.cluster.x-k8s.io/move=","clusterctl.cluster.x-k8s.io="}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="VIP",type=string,JSONPath=`.status.vips[0]`
// +kubebuilder:printcolumn:name="Wanted",type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name="VMs Ready",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 54",message="metadata.name must have at most 54 characters: the host names <name>-lb-xxxxx are made from it"
type LoadBalancer struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the wanted state.
	// +required
	Spec LoadBalancerSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1,"replicas":0,"readyReplicas":0}
	Status LoadBalancerStatus `json:"status,omitzero"`
}

// LoadBalancerList is a list of LoadBalancers.
// +kubebuilder:object:root=true
type LoadBalancerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LoadBalancer `json:"items"`
}

// GetConditions returns the conditions.
func (b *LoadBalancer) GetConditions() []metav1.Condition { return b.Status.Conditions }

// SetConditions sets the conditions.
func (b *LoadBalancer) SetConditions(conditions []metav1.Condition) { b.Status.Conditions = conditions }
