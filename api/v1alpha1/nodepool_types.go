package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// NodePoolSpec is the wanted state of a pool of worker nodes.
type NodePoolSpec struct {
	// clusterName is the name of the WorkloadCluster, in the same namespace, that
	// the nodes join. It may be made later.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName cannot be changed: make a new NodePool for the other cluster"
	ClusterName string `json:"clusterName"`

	// replicas is the number of nodes. It is all that kubectl scale, a
	// HorizontalPodAutoscaler or an edit for scaling touches.
	// Defaults to 1 for a new pool and to what the pool has for one that exists,
	// unless autoscaling is given.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling leaves the number of nodes, within bounds, to the cluster
	// autoscaler. It excludes replicas. Giving it or taking it away changes the
	// number of nodes only as far as the bounds demand.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// version is the Kubernetes version of the nodes. Defaults to the cluster's:
	// the pool follows once the control plane has it. Otherwise it is the version
	// that the pool has, which holds it there while the cluster goes on by up to
	// three minor versions, or any patch of the control plane's minor version. It is
	// never ahead: a version that the cluster is being raised to is waited for. A
	// pool that is behind by a minor version keeps its nodes and can get no new ones,
	// since nodes join a control plane in its own minor version only.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^v[0-9]+[.][0-9]+[.][0-9]+$')",message="version must be of the form vX.Y.Z, such as v1.36.3"
	Version string `json:"version,omitempty"`

	// os is the family of operating system of the nodes.
	// Defaults to Linux.
	// +optional
	// +kubebuilder:default=Linux
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="os cannot be changed: make a new NodePool"
	OS OS `json:"os,omitempty"`

	// size of each node. Defaults to nodePoolDefaults.size of the cluster, with a
	// boot disk that holds the image if that is larger, as those of Windows are. A
	// change replaces the nodes, within the limits of rollout.
	// +optional
	Size *MachineSize `json:"size,omitempty"`

	// image is the name of the VMImage to boot. Defaults to the image of the
	// pool's OS and the cluster's version.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`

	// labels are put on the nodes as they join, and kept. A change reaches the
	// nodes there are without replacing them.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are put on the nodes, and kept. A change reaches the nodes there
	// are without replacing them.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`

	// taints are put on the nodes as they join. A change replaces the nodes, within
	// the limits of rollout. On Windows nodes they default to
	// os=windows:NoSchedule; an empty list means none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Taints []corev1.Taint `json:"taints,omitzero"`

	// placement says where the nodes' machines may be. A change replaces the nodes,
	// within the limits of rollout.
	// +optional
	Placement *PlacementRules `json:"placement,omitempty"`

	// rollout limits how nodes are replaced.
	// +optional
	// +kubebuilder:default={}
	Rollout Rollout `json:"rollout,omitzero"`
}

// Autoscaling bounds what the cluster autoscaler may do.
// +kubebuilder:validation:XValidation:rule="self.min <= self.max",message="min cannot be above max: lower min or raise max"
type Autoscaling struct {
	// min is the smallest number of nodes. 0 lets the pool go empty.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Min int32 `json:"min"`

	// max is the largest number of nodes.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Max int32 `json:"max"`
}

// Rollout limits how nodes are replaced. No time-out is unlimited.
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && has(self.maxUnavailable) && string(self.maxSurge) in ['0','0%'] && string(self.maxUnavailable) in ['0','0%'])",message="maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced"
type Rollout struct {
	// paused holds the replacement of nodes, also one that has begun. Scaling and
	// repair go on.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// maxSurge is how many nodes more than replicas there may be during a
	// roll-out, as a number or percentage.
	// Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+%?$`
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// maxUnavailable is how many nodes fewer than replicas there may be during a
	// roll-out, as a number or percentage.
	// Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+%?$`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// drainTimeout is how long a node that goes may take to be drained.
	// Defaults to 10m.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0, such as 10m"
	DrainTimeout metav1.Duration `json:"drainTimeout,omitzero"`

	// volumeDetachTimeout is how long the volumes of a node that goes may take to
	// be detached.
	// Defaults to 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0, such as 5m"
	VolumeDetachTimeout metav1.Duration `json:"volumeDetachTimeout,omitzero"`

	// deletionTimeout is how long deleting the Node object of a node that goes is
	// tried.
	// Defaults to 1m.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0, such as 1m"
	DeletionTimeout metav1.Duration `json:"deletionTimeout,omitzero"`
}

// NodePoolStatus is the observed state of a pool of worker nodes.
type NodePoolStatus struct {
	// conditions tell how the pool is. Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// observedClusterGeneration is the generation of the WorkloadCluster's spec that
	// this status is of: what it says of versions and defaults is the pool's too.
	// +optional
	ObservedClusterGeneration int64 `json:"observedClusterGeneration,omitempty"`

	// wantedReplicas is how many machines there shall be: spec.replicas, or what
	// the cluster autoscaler chose.
	// +optional
	WantedReplicas int32 `json:"wantedReplicas"`

	// replicas is how many machines there are.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is how many of them have a Ready node.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// availableReplicas is how many of them have been Ready for long enough.
	// +optional
	AvailableReplicas int32 `json:"availableReplicas"`

	// upToDateReplicas is how many of them are as the spec says.
	// +optional
	UpToDateReplicas int32 `json:"upToDateReplicas"`

	// selector finds the machines of the pool, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`

	// version is the Kubernetes version the pool is rolled to.
	// +optional
	Version string `json:"version,omitempty"`

	// pendingRollout is a change that replaces nodes and was not begun yet.
	// +optional
	PendingRollout *PendingRollout `json:"pendingRollout,omitempty"`
}

// PendingRollout is a change that replaces nodes and was not begun yet. It begins
// once the spec has been left alone for a moment, so that of many edits in a row
// only the last is rolled out, and after a longer time however often it is edited.
type PendingRollout struct {
	// hash names the content that the nodes shall have.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash"`

	// since is when this content was first asked for.
	// +required
	Since metav1.MicroTime `json:"since"`

	// heldSince is since when nodes are kept that shall be replaced, by what they are
	// to be now or by what they were to be before it was edited again.
	// +required
	HeldSince metav1.MicroTime `json:"heldSince"`
}

// NodePool is a pool of equal worker nodes of a WorkloadCluster.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=np,categories=capstan
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.spec.os`
// +kubebuilder:printcolumn:name="Wanted",type=integer,JSONPath=`.status.wantedReplicas`
// +kubebuilder:printcolumn:name="Nodes Ready",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 51",message="metadata.name must have at most 51 characters: the host names <name>-xxxxx-xxxxx are made from it"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must begin with a letter and hold only lower-case letters, digits and '-': host names are made from it"
type NodePool struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the wanted state.
	// +required
	Spec NodePoolSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1,"wantedReplicas":0,"replicas":0,"readyReplicas":0,"availableReplicas":0,"upToDateReplicas":0}
	Status NodePoolStatus `json:"status,omitzero"`
}

// NodePoolList is a list of NodePools.
// +kubebuilder:object:root=true
type NodePoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodePool `json:"items"`
}

// GetConditions returns the conditions.
func (p *NodePool) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions sets the conditions.
func (p *NodePool) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }

// WantedReplicas returns how many nodes the pool shall have. With autoscaling it
// is what was observed last.
func (p *NodePool) WantedReplicas() int32 {
	switch {
	case p.Spec.Autoscaling != nil:
		return p.Status.WantedReplicas
	case p.Spec.Replicas != nil:
		return *p.Spec.Replicas
	}
	return 1
}
