// Package addresspool knows which addresses a LogicalNetwork may give out. It is
// pure: who holds an address is the caller's business.
package addresspool

import (
	"fmt"
	"math"
	"net/netip"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Pool is one kind of addresses of a subnet: those for VMs, or virtual ones.
type Pool struct {
	prefix  netip.Prefix
	gateway netip.Addr
	// ranges share no address: one that was written twice is given out once.
	ranges []span
}

// Use is what an address is for.
type Use string

// Uses of addresses.
const (
	Nodes Use = capstanv1.AddressRangeNodes
	VIPs  Use = capstanv1.AddressRangeVIPs
)

// New returns the pool of a network's first subnet for a use. The error names
// the field that is wrong.
func New(spec *capstanv1.LogicalNetworkSpec, use Use) (*Pool, error) {
	if len(spec.Subnets) == 0 {
		return nil, fmt.Errorf("spec.subnets is empty: add a subnet")
	}
	subnet := spec.Subnets[0]
	prefix, err := netip.ParsePrefix(subnet.CIDR)
	if err != nil {
		return nil, fmt.Errorf("spec.subnets[0].cidr %q is no network: write it as 10.0.0.0/24", subnet.CIDR)
	}
	p := &Pool{prefix: prefix.Masked()}
	if subnet.Gateway != "" {
		if p.gateway, err = netip.ParseAddr(subnet.Gateway); err != nil {
			return nil, fmt.Errorf("spec.subnets[0].gateway %q is no address", subnet.Gateway)
		}
	}
	var ranges []capstanv1.AddressRange
	switch use {
	case Nodes:
		ranges = subnet.NodeRanges
	case VIPs:
		ranges = subnet.VIPRanges
	default:
		return nil, fmt.Errorf("address range %q is unknown: use %s or %s", use, Nodes, VIPs)
	}
	for i, r := range ranges {
		s, err := p.span(r)
		if err != nil {
			return nil, fmt.Errorf("spec.subnets[0].%s[%d]: %w", use.Field(), i, err)
		}
		s.written = i
		p.ranges = append(p.ranges, s.without(p.ranges)...)
	}
	return p, nil
}

// From returns the pool of another provider that a network's first subnet names for a
// use, or nil where it has ranges of its own.
func From(spec *capstanv1.LogicalNetworkSpec, use Use) *capstanv1.PoolReference {
	switch {
	case len(spec.Subnets) == 0:
		return nil
	case use == VIPs:
		return spec.Subnets[0].VIPsFrom
	default:
		return spec.Subnets[0].NodesFrom
	}
}

// Field is the field of a subnet with the ranges for a use.
func (u Use) Field() string {
	if u == VIPs {
		return "vipRanges"
	}
	return "nodeRanges"
}

func (p *Pool) span(r capstanv1.AddressRange) (span, error) {
	first, err := netip.ParseAddr(r.Start)
	if err != nil {
		return span{}, fmt.Errorf("start %q is no address", r.Start)
	}
	last, err := netip.ParseAddr(r.End)
	if err != nil {
		return span{}, fmt.Errorf("end %q is no address", r.End)
	}
	if last.Less(first) {
		return span{}, fmt.Errorf("end %s lies before start %s: exchange them", last, first)
	}
	if !p.prefix.Contains(first) || !p.prefix.Contains(last) {
		return span{}, fmt.Errorf("%s to %s does not lie in %s", first, last, p.prefix)
	}
	return span{first: first, last: last}, nil
}

// PrefixLength is the length of the subnet's prefix in bits.
func (p *Pool) PrefixLength() int { return p.prefix.Bits() }

// Gateway is the default router, or the zero Addr.
func (p *Pool) Gateway() netip.Addr { return p.gateway }

// Overlaps tells whether the two pools share an address, and names one.
func (p *Pool) Overlaps(other *Pool) (netip.Addr, bool) {
	for _, a := range p.ranges {
		for _, b := range other.ranges {
			if !b.last.Less(a.first) && !a.last.Less(b.first) {
				if a.first.Less(b.first) {
					return b.first, true
				}
				return a.first, true
			}
		}
	}
	return netip.Addr{}, false
}

// Contains tells whether the pool may give out an address.
func (p *Pool) Contains(a netip.Addr) bool {
	_, ok := p.RangeWith(a)
	return ok && p.usable(a)
}

// RangeWith returns which of the ranges an address lies in, whether it may be given
// out or not.
func (p *Pool) RangeWith(a netip.Addr) (index int, ok bool) {
	for _, s := range p.ranges {
		if s.contains(a) {
			return s.written, true
		}
	}
	return 0, false
}

// usable leaves out what is never a guest's: the router, and the network's own
// and broadcast address.
func (p *Pool) usable(a netip.Addr) bool {
	if a == p.gateway {
		return false
	}
	if p.prefix.Bits() >= a.BitLen()-1 {
		return true
	}
	return a != p.prefix.Addr() && (!a.Is4() || p.prefix.Contains(a.Next()))
}

// Count returns how many addresses the pool may give out, at most MaxInt64.
func (p *Pool) Count() int64 {
	var n int64
	for _, s := range p.ranges {
		if n += s.size() - p.unusableIn(s); n < 0 {
			return math.MaxInt64
		}
	}
	return n
}

func (p *Pool) unusableIn(s span) int64 {
	var n int64
	seen := map[netip.Addr]bool{}
	for _, a := range []netip.Addr{p.gateway, p.prefix.Addr(), lastOf(p.prefix)} {
		if a.IsValid() && !seen[a] && s.contains(a) && !p.usable(a) {
			n++
		}
		seen[a] = true
	}
	return n
}

// Free yields the usable addresses that taken does not name, in order, until
// yield returns false.
func (p *Pool) Free(taken func(netip.Addr) bool, yield func(netip.Addr) bool) {
	for _, s := range p.ranges {
		for a := s.first; a.IsValid() && !s.last.Less(a); a = a.Next() {
			if p.usable(a) && !taken(a) && !yield(a) {
				return
			}
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
