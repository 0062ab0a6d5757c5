package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OS is the family of operating system in a guest.
// +kubebuilder:validation:Enum=Linux;Windows
type OS string

// Families of operating systems.
const (
	OSLinux   OS = "Linux"
	OSWindows OS = "Windows"
)

// MachineSize is how large a VM is.
type MachineSize struct {
	// cpus is the number of virtual processors.
	// Defaults to 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	CPUs int32 `json:"cpus,omitempty"`

	// memory is the memory of the VM, such as 8Gi. It is rounded up to whole
	// mebibytes.
	// Defaults to 4Gi.
	// +optional
	// +kubebuilder:default="4Gi"
	Memory resource.Quantity `json:"memory,omitempty"`

	// bootDisk is the virtual size of the boot disk, such as 40Gi. The disk is a
	// differencing disk of the image and grows only as it is written.
	// Defaults to 40Gi.
	// +optional
	// +kubebuilder:default="40Gi"
	BootDisk resource.Quantity `json:"bootDisk,omitempty"`

	// dataDisks are further, empty disks. Each lies on a volume of its own choice,
	// except that all disks of a control-plane machine lie on one.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DataDisks []DataDisk `json:"dataDisks,omitempty"`
}

// DataDisk is an empty disk of a VM.
// +kubebuilder:validation:XValidation:rule="self.name != 'boot'",message="the name boot belongs to the boot disk: choose another"
type DataDisk struct {
	// name of the disk, unique in the machine.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// size is the virtual size of the disk, such as 100Gi.
	// +required
	Size resource.Quantity `json:"size"`
}

// GuestSettings are what every guest of a cluster is told at its first boot. A
// change replaces the machines, within their roll-out limits.
type GuestSettings struct {
	// ntpServers are the time servers of the guests. Without any, the guests take
	// the time of their Hyper-V host.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	NTPServers []string `json:"ntpServers,omitempty"`

	// trustBundle holds further certificate authorities that the guests trust, as
	// PEM certificates.
	// +optional
	// +kubebuilder:validation:MaxLength=131072
	TrustBundle string `json:"trustBundle,omitempty"`

	// registryMirrors are asked before the registry they stand for.
	// +optional
	// +listType=map
	// +listMapKey=registry
	// +kubebuilder:validation:MaxItems=32
	RegistryMirrors []RegistryMirror `json:"registryMirrors,omitempty"`

	// proxy is how the guests reach what is outside.
	// +optional
	Proxy *Proxy `json:"proxy,omitempty"`

	// sshAuthorizedKeys may log in as user capstan, who may become root. Without
	// any, nobody can log in.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=8192
	SSHAuthorizedKeys []string `json:"sshAuthorizedKeys,omitempty"`
}

// RegistryMirror stands for a container registry.
type RegistryMirror struct {
	// registry is the host, and port if it needs one, of the registry that is
	// mirrored, such as docker.io.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Registry string `json:"registry"`

	// endpoints are URLs of the mirrors in order, such as https://mirror.local.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:items:Pattern=`^https?://[^\s]+$`
	Endpoints []string `json:"endpoints"`
}

// Proxy is an HTTP proxy.
// +kubebuilder:validation:XValidation:rule="has(self.httpProxy) || has(self.httpsProxy)",message="set httpProxy, httpsProxy or both, or leave proxy out"
type Proxy struct {
	// httpProxy is the URL of the proxy for http.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	HTTPProxy string `json:"httpProxy,omitempty"`

	// httpsProxy is the URL of the proxy for https.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	HTTPSProxy string `json:"httpsProxy,omitempty"`

	// noProxy lists hosts, domains and networks that are reached without the
	// proxy. The cluster's own networks, VIP and domain are always among them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	NoProxy []string `json:"noProxy,omitempty"`
}

// LoadBalancerSettings is what can be said about a cluster's load balancer.
type LoadBalancerSettings struct {
	// replicas is how many load-balancer VMs there are, of which one carries the
	// VIP. With 1, the VIP is gone while that VM or its host is.
	// Defaults to 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`

	// size of each load-balancer VM.
	// Defaults to 2 cpus, 2Gi of memory and a boot disk of 20Gi.
	// +optional
	// +kubebuilder:default={cpus: 2, memory: "2Gi", bootDisk: "20Gi"}
	Size MachineSize `json:"size,omitzero"`

	// image is the name of the VMImage the VMs boot. In a WorkloadCluster it
	// defaults to the Linux image of the version it was made with.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`

	// maxServiceVIPs is how many virtual addresses the Services of the cluster may
	// have together, the API server's not counted. A Service that would need one
	// more is told so, and waits. Lowering it takes no address away. Without it, the
	// network's vipRanges and what a load balancer carries (255) are the only bounds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	MaxServiceVIPs *int32 `json:"maxServiceVIPs,omitempty"`

	// placement says where the load-balancer VMs may be. A change replaces them.
	// +optional
	Placement *PlacementRules `json:"placement,omitempty"`
}

// Endpoint is where something listens.
type Endpoint struct {
	// host is an address or DNS name.
	// +optional
	Host string `json:"host,omitempty"`

	// port is the TCP port.
	// +optional
	Port int32 `json:"port,omitempty"`
}

// ConditionsOwner is an object with conditions.
// +kubebuilder:object:generate=false
type ConditionsOwner interface {
	metav1.Object
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
}
