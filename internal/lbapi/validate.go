package lbapi

import (
	"fmt"
	"net/netip"
	"slices"
)

// Bounds on the size of a plan. They are far beyond what is useful and keep a bad
// plan from filling a VM's memory.
const (
	maxVIPs      = 256
	maxPeers     = 16
	maxFrontends = 4096
	maxBackends  = 2048
	maxSources   = 1024
	// Of all frontends together.
	maxAllBackends = 16384
	maxAllSources  = 65536
)

// Validate returns everything that is wrong with the plan, or nil. A plan without
// faults holds no text that could mean anything to a configuration file: names
// are plain, and addresses, networks and certificates are in canonical form.
func Validate(p Plan) Faults {
	v := &validator{plan: p, peers: map[netip.Addr]bool{}, vips: map[netip.Addr]bool{}}
	if p.Generation < 1 {
		v.add("generation", "is %d, must be 1 or more", p.Generation)
	}
	if !isClusterName(p.Cluster) {
		v.add("cluster", "%s is not a name or namespace/name", quote(p.Cluster))
	}
	v.validatePeers()
	v.validateVIPs()
	v.validateFrontends()
	return v.faults
}

type validator struct {
	faultList
	plan  Plan
	peers map[netip.Addr]bool
	vips  map[netip.Addr]bool
}

func (v *validator) validatePeers() {
	peers := v.plan.Peers
	v.count("peers", len(peers), maxPeers)
	if len(peers) == 0 {
		v.add("peers", "is empty, must be every VM of the load balancer")
	} else if _, ok := v.plan.SelfPeer(); !ok {
		v.add("self", "%s is not among the peers", quote(v.plan.Self))
	}
	names, priorities := unique[string]{}, unique[int32]{}
	for i, p := range peers {
		at := fmt.Sprintf("peers[%d]", i)
		v.name(at+".name", p.Name)
		names.check(v, at+".name", p.Name, quote(p.Name))
		if a, ok := v.address(at+".address", p.Address); ok {
			if v.peers[a] {
				v.add(at+".address", "%s is the address of another peer", a)
			}
			v.peers[a] = true
		}
		v.within(at+".priority", p.Priority, 1, 254)
		priorities.check(v, at+".priority", p.Priority, fmt.Sprint(p.Priority))
	}
}

func (v *validator) validateVIPs() {
	v.count("vips", len(v.plan.VIPs), maxVIPs)
	type link struct {
		vrid  int32
		iface string
	}
	links := map[netip.Prefix]link{}
	for i, vip := range v.plan.VIPs {
		at := fmt.Sprintf("vips[%d]", i)
		addr, addrOK := v.address(at+".address", vip.Address)
		network, netOK := v.network(at+".network", vip.Network)
		v.within(at+".vrid", vip.VRID, 1, 255)
		if vip.Interface != "" && !isInterface(vip.Interface) {
			v.add(at+".interface", "%s is not the name of a network interface", quote(vip.Interface))
		}
		if addrOK {
			if v.vips[addr] {
				v.add(at+".address", "%s is there twice", addr)
			}
			if v.peers[addr] {
				v.add(at+".address", "%s is the address of a peer", addr)
			}
			v.vips[addr] = true
		}
		if !netOK {
			continue
		}
		if addrOK && !network.Contains(addr) {
			v.add(at+".address", "%s is outside its network %s", addr, network)
		}
		this := link{vrid: vip.VRID, iface: vip.Interface}
		if first, ok := links[network]; !ok {
			links[network] = this
			v.reachable(network)
		} else if first != this {
			v.add(at, "has another vrid or interface than an earlier VIP of network %s", network)
		}
	}
}

// reachable wants every peer on the network of a VIP: VRRP speaks on one link,
// and a peer elsewhere could never take the VIP.
func (v *validator) reachable(network netip.Prefix) {
	for i, p := range v.plan.Peers {
		if a, err := netip.ParseAddr(p.Address); err == nil && !network.Contains(a) {
			v.add(fmt.Sprintf("peers[%d].address", i), "%s is outside %s, a network of the VIPs", a.WithZone(""), network)
		}
	}
}

func (v *validator) validateFrontends() {
	v.count("frontends", len(v.plan.Frontends), maxFrontends)
	type endpoint struct {
		vip  string
		port int32
	}
	v.validateSums()
	names, endpoints := unique[string]{}, unique[endpoint]{}
	for i, f := range v.plan.Frontends {
		at := fmt.Sprintf("frontends[%d]", i)
		v.name(at+".name", f.Name)
		names.check(v, at+".name", f.Name, quote(f.Name))
		if !slices.ContainsFunc(v.plan.VIPs, func(vip VIP) bool { return vip.Address == f.VIP }) {
			v.add(at+".vip", "%s is not among the VIPs", quote(f.VIP))
		}
		v.within(at+".port", f.Port, 1, 65535)
		endpoints.check(v, at+".port", endpoint{f.VIP, f.Port}, fmt.Sprintf("%d of %s", f.Port, quote(f.VIP)))
		if f.Protocol != TCP {
			v.add(at+".protocol", "%s is not carried, only TCP is", quote(string(f.Protocol)))
		}
		v.count(at+".allowedSources", len(f.AllowedSources), maxSources)
		sources := unique[string]{}
		for j, s := range f.AllowedSources {
			field := fmt.Sprintf("%s.allowedSources[%d]", at, j)
			v.network(field, s)
			sources.check(v, field, s, quote(s))
		}
		v.validateBackends(at, f)
		v.validateCheck(at+".check", f.Check)
	}
}

// validateSums bounds what frontends have together: each may be within its own bounds.
func (v *validator) validateSums() {
	backends, sources := 0, 0
	for _, f := range v.plan.Frontends {
		backends += len(f.Backends)
		sources += len(f.AllowedSources)
	}
	v.count("frontends[*].backends", backends, maxAllBackends)
	v.count("frontends[*].allowedSources", sources, maxAllSources)
}

func (v *validator) validateBackends(at string, f Frontend) {
	v.count(at+".backends", len(f.Backends), maxBackends)
	type endpoint struct {
		address string
		port    int32
	}
	names, endpoints := unique[string]{}, unique[endpoint]{}
	vip, vipErr := netip.ParseAddr(f.VIP)
	for i, b := range f.Backends {
		field := fmt.Sprintf("%s.backends[%d]", at, i)
		v.name(field+".name", b.Name)
		names.check(v, field+".name", b.Name, quote(b.Name))
		if a, ok := v.address(field+".address", b.Address); ok {
			if v.vips[a] {
				v.add(field+".address", "%s is a VIP of this load balancer: connections would go round in a circle", a)
			}
			if vipErr == nil && a.Is4() != vip.Is4() {
				v.add(field+".address", "%s is of another address family than VIP %s", a, vip)
			}
		}
		v.within(field+".port", b.Port, 1, 65535)
		endpoints.check(v, field, endpoint{b.Address, b.Port}, fmt.Sprintf("%s port %d", quote(b.Address), b.Port))
	}
}

// unique finds values that come a second time.
type unique[T comparable] map[T]struct{}

func (u unique[T]) check(v *validator, field string, value T, shown string) {
	if _, ok := u[value]; ok {
		v.add(field, "%s is there twice", shown)
	}
	u[value] = struct{}{}
}
