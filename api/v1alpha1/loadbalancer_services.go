package v1alpha1

// LoadBalancerService is a Service of type LoadBalancer in the cluster, as far as
// load-balancer VMs must know it.
type LoadBalancerService struct {
	// name is "namespace/name" of the Service.
	// +required
	// +kubebuilder:validation:MaxLength=127
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// vip is the virtual address, which a claim of the load balancer must hold.
	// +required
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.120"
	VIP string `json:"vip"`

	// ports are the TCP ports that are answered on the virtual address.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	Ports []LoadBalancerServicePort `json:"ports"`

	// allowedSources are the networks that may connect. If it is empty, everyone may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=49
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network, such as 10.0.0.0/24"
	AllowedSources []string `json:"allowedSources,omitempty"`

	// healthCheckPort is the port of a node that answers at /healthz whether the node
	// takes connections to the Service. Without it, a node takes them if it accepts
	// connections on the node port.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HealthCheckPort int32 `json:"healthCheckPort,omitempty"`
}

// LoadBalancerServicePort is a port of a Service.
type LoadBalancerServicePort struct {
	// name of the port.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// port on the virtual address.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// nodePort is the port on the nodes.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort"`
}

// LoadBalancerNode is a node of the cluster that takes connections to Services.
type LoadBalancerNode struct {
	// name of the Node.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// address that the load balancer connects to.
	// +required
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an address, such as 10.0.0.20"
	Address string `json:"address"`

	// draining nodes are about to go: they keep their connections and get no new ones.
	// +optional
	Draining bool `json:"draining,omitempty"`
}

// RefusedService is a Service that is not carried.
type RefusedService struct {
	// name is "namespace/name" of the Service.
	// +required
	Name string `json:"name"`

	// message says why.
	// +required
	Message string `json:"message"`
}
