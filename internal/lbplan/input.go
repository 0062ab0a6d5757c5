package lbplan

import "github.com/capstan-k8s/capstan/internal/lbapi"

// Input is everything that a load balancer's plans are made of. The order of its
// lists means nothing.
type Input struct {
	// Generation is what the plans are numbered with.
	Generation int64
	// Cluster is "namespace/name".
	Cluster string
	VIPs    []lbapi.VIP
	// VMs are all VMs of the load balancer that exist or may exist, whatever their
	// state. One that has no address yet has never booted and is left out; one that
	// has an address stays in until it is known to be gone.
	VMs []VM
	API API
	// Machines are the control-plane machines.
	Machines []Machine
	// Services are the Services of type LoadBalancer, and Nodes the nodes that take
	// connections to them.
	Services []Service
	Nodes    []Node
}

// VM is a load-balancer VM.
type VM struct {
	Name    string
	Address string
	// Resigns tells that it shall hold the VIPs no more: it hands them over to another
	// one, which takes less time than to be missed.
	Resigns bool
}

// API is how the cluster's API server is reached.
type API struct {
	// VIP is the address of one of Input's VIPs.
	VIP string
	// Port is the port on the VIP and on the machines.
	Port int32
	// CA is the cluster's CA in PEM. Until it is known no machine can be told from
	// an impostor, and none can exist: the API is not in the plan.
	CA []byte
	// AllowedSources are the networks that may connect; empty for everyone.
	AllowedSources []string
}

// State is how far a control-plane machine is in its life.
type State string

// States of a control-plane machine.
const (
	// Joining machines get connections as soon as their check says so.
	Joining State = "Joining"
	Ready   State = "Ready"
	// Leaving machines are being removed: they keep their connections and get no new
	// ones.
	Leaving State = "Leaving"
	// Left machines have been leaving for long enough: the connections that they still
	// have end, while the machine could yet serve what is asked on them.
	Left State = "Left"
)

// Machine is a control-plane machine.
type Machine struct {
	Name string
	// Address is empty until the machine has one.
	Address string
	State   State
}
