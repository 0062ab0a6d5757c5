package lbapi

import (
	"slices"
	"time"
)

// Port is the TCP port on which a load-balancer VM listens for the manager.
const Port = 9443

// Plan is the whole wanted state of one load-balancer VM. What is not in it is
// taken away.
type Plan struct {
	// Generation orders the plans of one load balancer. A higher one replaces a
	// lower one; one generation never has two contents.
	Generation int64 `json:"generation"`
	// Cluster names the load balancer's cluster, "namespace/name" or a plain name.
	// It is for people and separates nothing.
	Cluster string `json:"cluster"`
	// Self is the name of the peer that this plan is for.
	Self string `json:"self"`
	// VIPs are the addresses that exactly one of the peers holds.
	VIPs []VIP `json:"vips,omitempty"`
	// Peers are all VMs of the load balancer, the one the plan is for included.
	// The list is always whole: a forgotten peer is how two VMs come to hold a VIP.
	Peers []Peer `json:"peers,omitempty"`
	// Frontends are the ports that are answered on the VIPs.
	Frontends []Frontend `json:"frontends,omitempty"`
}

// VIP is an address that moves between the peers.
type VIP struct {
	Address string `json:"address"`
	// Network is the subnet of the address, in CIDR form and with no host bits
	// set. All VIPs of one network move together.
	Network string `json:"network"`
	// Interface is the network interface in the VM; empty for the one that has the
	// peer's own address.
	Interface string `json:"interface,omitempty"`
	// VRID is the virtual router ID, 1 to 255, unique in its network. All VIPs of
	// one network share it.
	VRID int32 `json:"vrid"`
}

// Peer is one VM of the load balancer.
type Peer struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Priority is the VRRP priority, 1 to 254, different for each peer. The highest
	// takes a VIP that nobody holds; nobody is robbed of a VIP he holds.
	Priority int32 `json:"priority"`
}

// Protocol is the transport of a frontend.
type Protocol string

// TCP is the only protocol that load balancers carry.
const TCP Protocol = "TCP"

// Frontend is a port on a VIP and what stands behind it.
type Frontend struct {
	// Name is unique in the plan.
	Name string `json:"name"`
	// VIP is the address of one of the plan's VIPs.
	VIP      string   `json:"vip"`
	Port     int32    `json:"port"`
	Protocol Protocol `json:"protocol"`
	// AllowedSources are the networks, in CIDR form, that may connect. Empty allows
	// everyone.
	AllowedSources []string `json:"allowedSources,omitempty"`
	// Backends may be empty: then connections are refused. All are of the VIP's
	// address family: a load-balancer VM has no other. One that was there before
	// and is not any more loses the connections that it has, and so does one whose
	// address has changed.
	Backends []Backend `json:"backends,omitempty"`
	Check    Check     `json:"check"`
}

// Backend is one server behind a frontend.
type Backend struct {
	// Name is unique in the frontend.
	Name    string `json:"name"`
	Address string `json:"address"`
	Port    int32  `json:"port"`
	// Drain keeps the connections that exist and gives the backend no new ones.
	Drain bool `json:"drain,omitempty"`
}

// CheckKind is how the health of a backend is found out.
type CheckKind string

// Kinds of check.
const (
	// CheckTLSReadyz asks Path over TLS and wants status 200.
	CheckTLSReadyz CheckKind = "TLSReadyz"
	// CheckTCP wants a connection to be accepted.
	CheckTCP CheckKind = "TCP"
	// CheckHTTP asks Path in plain text on Port of the backend's address, whatever
	// the backend's own port, and wants status 200. This is how nodes tell whether
	// they have an endpoint of a Service with externalTrafficPolicy Local.
	CheckHTTP CheckKind = "HTTP"
)

// Check is how and how often the backends of a frontend are checked.
type Check struct {
	Kind CheckKind `json:"kind"`
	// Path is what TLSReadyz and HTTP ask.
	Path string `json:"path,omitempty"`
	// Port is for HTTP alone: where it asks.
	Port int32 `json:"port,omitempty"`
	// ServerName and CA are for TLSReadyz alone: the name that the certificate must
	// bear, and the authorities that may have issued it, in PEM.
	ServerName string `json:"serverName,omitempty"`
	CA         string `json:"ca,omitempty"`

	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	// Rise and Fall are how many answers in a row turn a backend up or down.
	Rise int32 `json:"rise"`
	Fall int32 `json:"fall"`
}

// Clone returns a copy that shares nothing with p.
func (p Plan) Clone() Plan {
	p.VIPs = slices.Clone(p.VIPs)
	p.Peers = slices.Clone(p.Peers)
	p.Frontends = slices.Clone(p.Frontends)
	for i := range p.Frontends {
		f := &p.Frontends[i]
		f.AllowedSources = slices.Clone(f.AllowedSources)
		f.Backends = slices.Clone(f.Backends)
	}
	return p
}

// SelfPeer returns the peer that the plan is for.
func (p Plan) SelfPeer() (Peer, bool) {
	i := slices.IndexFunc(p.Peers, func(peer Peer) bool { return peer.Name == p.Self })
	if i < 0 {
		return Peer{}, false
	}
	return p.Peers[i], true
}
