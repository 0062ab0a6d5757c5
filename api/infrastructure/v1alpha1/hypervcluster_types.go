package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// HyperVClusterSpec is what a cluster needs besides its machines.
type HyperVClusterSpec struct {
	// controlPlaneEndpoint is where the API server is reached. The controller sets
	// it from the load balancer's VIP, unless you bring your own.
	// +optional
	ControlPlaneEndpoint clusterv1.APIEndpoint `json:"controlPlaneEndpoint,omitempty,omitzero"`

	// logicalNetwork is the name of the LogicalNetwork of the VIP.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LogicalNetwork string `json:"logicalNetwork"`

	// loadBalancer describes the load-balancer VMs. Leave it out only if
	// controlPlaneEndpoint is your own.
	// +optional
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`
}

// LoadBalancer describes the load-balancer VMs of a cluster.
type LoadBalancer struct {
	capstanv1.LoadBalancerSettings `json:",inline"`

	// port is the TCP port of the API server on the VIP.
	// Defaults to 6443.
	// +optional
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// guestSettings are told to every VM at its first boot.
	// +optional
	GuestSettings capstanv1.GuestSettings `json:"guestSettings,omitzero"`
}

// Initialization tells whether the first provisioning is over. It never goes
// back.
type Initialization struct {
	// provisioned is true once everything is there for the first time.
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// HyperVClusterStatus is the observed state.
type HyperVClusterStatus struct {
	// conditions tell how the infrastructure is. Ready sums up the others.
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

	// failureDomains are the failure domains of the hosts.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	FailureDomains []clusterv1.FailureDomain `json:"failureDomains,omitempty"`
}

// HyperVCluster is the infrastructure of a Cluster API Cluster on Hyper-V.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=hypervclusters,categories={cluster-api,capstan}
// +kubebuilder:metadata:labels={"cluster.x-k8s.io/v1beta2=v1alpha1"}
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.controlPlaneEndpoint.host`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type HyperVCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the cluster needs.
	// +required
	Spec HyperVClusterSpec `json:"spec"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status HyperVClusterStatus `json:"status,omitzero"`
}

// HyperVClusterList is a list of HyperVClusters.
// +kubebuilder:object:root=true
type HyperVClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HyperVCluster `json:"items"`
}

// GetConditions returns the conditions.
func (c *HyperVCluster) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions sets the conditions.
func (c *HyperVCluster) SetConditions(conditions []metav1.Condition) {
	c.Status.Conditions = conditions
}

// HyperVClusterTemplateSpec holds the template.
type HyperVClusterTemplateSpec struct {
	// template of the HyperVClusters.
	// +required
	Template HyperVClusterTemplateResource `json:"template"`
}

// HyperVClusterTemplateResource is the template of HyperVClusters.
type HyperVClusterTemplateResource struct {
	// metadata of the HyperVClusters.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of the HyperVClusters.
	// +required
	Spec HyperVClusterSpec `json:"spec"`
}

// HyperVClusterTemplate is a template of HyperVClusters, for a ClusterClass.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=hypervclustertemplates,categories=cluster-api
// +kubebuilder:metadata:labels={"cluster.x-k8s.io/v1beta2=v1alpha1"}
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HyperVClusterTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec holds the template. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a template cannot be changed: make a new one and refer to it"
	Spec HyperVClusterTemplateSpec `json:"spec"`
}

// HyperVClusterTemplateList is a list of HyperVClusterTemplates.
// +kubebuilder:object:root=true
type HyperVClusterTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HyperVClusterTemplate `json:"items"`
}
