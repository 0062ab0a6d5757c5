package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Addons says what runs in a cluster besides Kubernetes itself. kube-proxy and CoreDNS
// come with Kubernetes and are not told here.
type Addons struct {
	// cni is the network plugin of the cluster. It is applied before all other addons.
	// +optional
	CNI CNI `json:"cni,omitzero"`

	// manifests are applied in their order, each once those before it are well. What
	// leaves them, or is left out here, is deleted from the cluster.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Manifests []AddonManifests `json:"manifests,omitempty"`
}

// CNI is the network plugin of a cluster.
// +kubebuilder:validation:XValidation:rule="!has(self.flannel) || (has(self.name) && self.name == 'Flannel' && !has(self.configMapRefs))",message="flannel can be set only with name Flannel and no configMapRefs: it is about the Flannel that Capstan brings"
// +kubebuilder:validation:XValidation:rule="!has(self.configMapRefs) || has(self.name)",message="name must be set with configMapRefs: say which network plugin they hold"
type CNI struct {
	// name of the network plugin. Flannel is installed, on Linux nodes, unless
	// configMapRefs hold another edition of it. The others are installed from
	// configMapRefs; without them you install the plugin, and the name says which one it
	// is. If no name is given, nothing is installed and nothing that depends on the
	// network plugin is checked.
	// +optional
	Name CNIName `json:"name,omitempty"`

	// configMapRefs name ConfigMaps in the WorkloadCluster's namespace that hold the
	// manifests of the network plugin. They are applied as one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	ConfigMapRefs []ConfigMapReference `json:"configMapRefs,omitempty"`

	// flannel are settings of the Flannel that Capstan brings.
	// +optional
	Flannel *FlannelSettings `json:"flannel,omitempty"`
}

// Brings tells whether Capstan brings the manifests of the network plugin itself.
func (c *CNI) Brings() bool { return c.Name == CNIFlannel && len(c.ConfigMapRefs) == 0 }

// Installs tells whether Capstan installs the network plugin, from whichever manifests.
func (c *CNI) Installs() bool { return c.Brings() || len(c.ConfigMapRefs) > 0 }

// CNIName names a network plugin.
// +kubebuilder:validation:Enum=Antrea;Calico;Cilium;Flannel
type CNIName string

// Network plugins.
const (
	CNIAntrea  CNIName = "Antrea"
	CNICalico  CNIName = "Calico"
	CNICilium  CNIName = "Cilium"
	CNIFlannel CNIName = "Flannel"
)

// SupportsWindows tells whether the plugin runs on Windows nodes. One that is not
// known is given the benefit of the doubt.
// Source: Kubernetes documentation, networking on Windows.
func (n CNIName) SupportsWindows() bool { return n != CNICilium }

// FlannelSettings are settings of the Flannel that Capstan brings.
type FlannelSettings struct {
	// backend carries traffic of pods between nodes. HostGateway routes it, at the full
	// speed of the network, and needs all nodes in one layer-2 network, as those of a
	// LogicalNetwork are. VXLAN wraps it into UDP (port 8472), for networks that drop
	// packets with addresses that they do not know.
	// Defaults to HostGateway.
	// +optional
	// +kubebuilder:default=HostGateway
	Backend FlannelBackend `json:"backend,omitempty"`

	// masquerade says who hides the addresses of pods from what is outside the cluster.
	// Flannel does so with the iptables in its image. Bridge leaves it to the bridge
	// plugin and the iptables of the node, for images without iptables; it also hides
	// pods from the pods of other nodes, which see the address of the node.
	// Defaults to Flannel.
	// +optional
	// +kubebuilder:default=Flannel
	Masquerade FlannelMasquerade `json:"masquerade,omitempty"`

	// imageRepository is where the images flannel and flannel-cni-plugin are pulled
	// from.
	// Defaults to ghcr.io/flannel-io.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([-._a-z0-9]*[a-z0-9])?)*$`
	ImageRepository string `json:"imageRepository,omitempty"`
}

// FlannelBackend carries traffic of pods between nodes.
// +kubebuilder:validation:Enum=HostGateway;VXLAN
type FlannelBackend string

// Backends of Flannel.
const (
	FlannelHostGateway FlannelBackend = "HostGateway"
	FlannelVXLAN       FlannelBackend = "VXLAN"
)

// FlannelMasquerade says who hides the addresses of pods.
// +kubebuilder:validation:Enum=Flannel;Bridge
type FlannelMasquerade string

// Who hides the addresses of pods.
const (
	MasqueradeByFlannel FlannelMasquerade = "Flannel"
	MasqueradeByBridge  FlannelMasquerade = "Bridge"
)

// AddonManifests are manifests from ConfigMaps that are applied to the cluster as one.
type AddonManifests struct {
	// name of the addon, by which status.addons tells of it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self != 'cni'",message="cni is the name of the network plugin's own addon: choose another name"
	Name string `json:"name"`

	// configMapRefs name ConfigMaps in the WorkloadCluster's namespace. Every key of
	// each is a YAML file of one or more objects.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	ConfigMapRefs []ConfigMapReference `json:"configMapRefs"`

	// namespace is that of objects which have one and do not say which. It is not
	// created.
	// Defaults to default.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// nextWhen says how far this addon must be before the next one is begun: Healthy, or
	// only Applied.
	// Defaults to Healthy.
	// +optional
	// +kubebuilder:default=Healthy
	NextWhen AddonProgress `json:"nextWhen,omitempty"`
}

// AddonProgress is how far an addon is.
// +kubebuilder:validation:Enum=Healthy;Applied
type AddonProgress string

// How far an addon is.
const (
	AddonHealthy AddonProgress = "Healthy"
	AddonApplied AddonProgress = "Applied"
)

// ConfigMapReference names a ConfigMap in the same namespace.
type ConfigMapReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// CNIAddon is the name by which status.addons tells of the network plugin.
const CNIAddon = "cni"

// AddonStatus is the observed state of an addon.
type AddonStatus struct {
	// name of the addon; cni is the network plugin.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`

	// conditions tell how the addon is: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// revision is a hash of the manifests that were last applied whole and found well.
	// +optional
	Revision string `json:"revision,omitempty"`

	// objects is how many objects the addon has.
	// +optional
	Objects int32 `json:"objects,omitempty"`
}
