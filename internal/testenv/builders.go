package testenv

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Version is the Kubernetes version that the builders use.
const Version = "v1.36.3"

// build applies modifiers to an object.
func build[T any](obj *T, with []func(*T)) *T {
	for _, modify := range with {
		modify(obj)
	}
	return obj
}

// NewWorkloadCluster returns the short WorkloadCluster of the README, in the
// LogicalNetwork lan.
func NewWorkloadCluster(namespace, name string, with ...func(*capstanv1.WorkloadCluster)) *capstanv1.WorkloadCluster {
	one := int32(1)
	return build(&capstanv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: capstanv1.WorkloadClusterSpec{
			Version: Version, LogicalNetwork: "lan", ControlPlane: capstanv1.ControlPlaneSpec{Replicas: &one},
		},
	}, with)
}

// WithVersion sets the version of a WorkloadCluster.
func WithVersion(version string) func(*capstanv1.WorkloadCluster) {
	return func(c *capstanv1.WorkloadCluster) { c.Spec.Version = version }
}

// WithControlPlane sets the number of control-plane machines.
func WithControlPlane(replicas int32) func(*capstanv1.WorkloadCluster) {
	return func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Replicas = &replicas }
}

// WithNetwork sets the LogicalNetwork of a WorkloadCluster.
func WithNetwork(name string) func(*capstanv1.WorkloadCluster) {
	return func(c *capstanv1.WorkloadCluster) { c.Spec.LogicalNetwork = name }
}

// NewNodePool returns the short NodePool of the README.
func NewNodePool(namespace, name, cluster string, with ...func(*capstanv1.NodePool)) *capstanv1.NodePool {
	return build(&capstanv1.NodePool{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       capstanv1.NodePoolSpec{ClusterName: cluster},
	}, with)
}

// WithReplicas sets the number of nodes of a NodePool.
func WithReplicas(replicas int32) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) { p.Spec.Replicas = &replicas }
}

// WithSize sets the size of the nodes of a NodePool.
func WithSize(size capstanv1.MachineSize) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) { p.Spec.Size = &size }
}

// WithImage names the image of a NodePool.
func WithImage(name string) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) { p.Spec.Image = name }
}

// NewSize returns a size, from quantities as users write them.
func NewSize(cpus int32, memory, bootDisk string) capstanv1.MachineSize {
	return capstanv1.MachineSize{CPUs: cpus, Memory: resource.MustParse(memory), BootDisk: resource.MustParse(bootDisk)}
}

// NewLogicalNetwork returns a network of 10.20.0.0/24 with room for 41 nodes and
// 10 VIPs.
func NewLogicalNetwork(name string, with ...func(*capstanv1.LogicalNetwork)) *capstanv1.LogicalNetwork {
	return build(&capstanv1.LogicalNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: capstanv1.LogicalNetworkSpec{
			Switch: "vSwitch",
			Subnets: []capstanv1.Subnet{{
				CIDR: "10.20.0.0/24", Gateway: "10.20.0.1",
				NodeRanges: []capstanv1.AddressRange{{Start: "10.20.0.10", End: "10.20.0.50"}},
				VIPRanges:  []capstanv1.AddressRange{{Start: "10.20.0.100", End: "10.20.0.109"}},
			}},
		},
	}, with)
}

// WithNodeRange sets the addresses of a LogicalNetwork for nodes.
func WithNodeRange(first, last string) func(*capstanv1.LogicalNetwork) {
	return func(n *capstanv1.LogicalNetwork) {
		n.Spec.Subnets[0].NodeRanges = []capstanv1.AddressRange{{Start: first, End: last}}
	}
}

// NewVMImage returns a Linux image of 20Gi for a Kubernetes version.
func NewVMImage(name, version string, with ...func(*capstanv1.VMImage)) *capstanv1.VMImage {
	return build(&capstanv1.VMImage{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: capstanv1.VMImageSpec{
			OS: capstanv1.OSLinux, KubernetesVersion: version, Source: "https://images.example.org/" + name + ".vhdx",
			SHA256: strings.Repeat("ab", 32), Size: resource.MustParse("20Gi"),
		},
	}, with)
}

// NewHyperVHost returns a host whose inventory is 16 processors, 64Gi of memory and
// one volume of 1Ti. The status has to be written on its own.
func NewHyperVHost(name string, with ...func(*capstanv1.HyperVHost)) *capstanv1.HyperVHost {
	memory, free := resource.MustParse("64Gi"), resource.MustParse("60Gi")
	return build(&capstanv1.HyperVHost{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       capstanv1.HyperVHostSpec{Endpoint: name + ":9440", ReservedMemory: resource.MustParse("2Gi")},
		Status: capstanv1.HyperVHostStatus{
			Processors: 16, Memory: &memory, MemoryFree: &free,
			Volumes: []capstanv1.HostVolume{{
				Name: "Volume1", Capacity: resource.MustParse("1Ti"), Free: resource.MustParse("900Gi"),
			}},
			Switches: []string{"vSwitch"},
		},
	}, with)
}

// WithFailureDomain sets the failure domain of a host.
func WithFailureDomain(name string) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) { h.Spec.FailureDomain = name }
}
