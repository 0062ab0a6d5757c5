// Package addresspool knows which addresses a LogicalNetwork may give out. It is
// pure: who holds an address is the caller's business.
package addresspool

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Pool is one kind of addresses of a subnet: those for VMs, or virtual ones.
type Pool struct {
	prefix  netip.Prefix
	gateway netip.Addr
	ranges  []span
}

type span struct{ first, last netip.Addr }

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
	ranges, field := subnet.NodeRanges, "nodeRanges"
	switch use {
	case Nodes:
	case VIPs:
		ranges, field = subnet.VIPRanges, "vipRanges"
	default:
		return nil, fmt.Errorf("address range %q is unknown: use %s or %s", use, Nodes, VIPs)
	}
	for i, r := range ranges {
		s, err := p.span(r)
		if err != nil {
			return nil, fmt.Errorf("spec.subnets[0].%s[%d]: %w", field, i, err)
		}
		p.ranges = append(p.ranges, s)
	}
	return p, nil
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
	return span{first, last}, nil
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
	for _, s := range p.ranges {
		if !a.Less(s.first) && !s.last.Less(a) {
			return p.usable(a)
		}
	}
	return false
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
	for i, s := range p.ranges {
		n += size(s)
		if n < 0 {
			return math.MaxInt64
		}
		n -= p.unusableIn(s) + p.alreadyIn(s, p.ranges[:i])
	}
	return n
}

func (p *Pool) unusableIn(s span) int64 {
	var n int64
	seen := map[netip.Addr]bool{}
	for _, a := range []netip.Addr{p.gateway, p.prefix.Addr(), lastOf(p.prefix)} {
		if a.IsValid() && !seen[a] && !a.Less(s.first) && !s.last.Less(a) && !p.usable(a) {
			n++
		}
		seen[a] = true
	}
	return n
}

// alreadyIn counts the usable addresses of s that earlier ranges hold too.
func (p *Pool) alreadyIn(s span, earlier []span) int64 {
	var n int64
	for _, e := range earlier {
		if o := (span{maxAddr(s.first, e.first), minAddr(s.last, e.last)}); !o.last.Less(o.first) {
			n += size(o) - p.unusableIn(o)
		}
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

// ReservationName is the name of the AddressReservation of an address. It holds
// the network, so that equal addresses in two separate networks do not collide.
func ReservationName(network string, a netip.Addr) string {
	return network + "-" + strings.ReplaceAll(a.String(), ":", "-")
}

// virtualRouter tells a virtual router ID from an address.
const virtualRouter = "vrid/"

// VirtualRouter is what a reservation holds in place of an address that is for a
// virtual router ID. One ID is as much a property of the network as an address is.
func VirtualRouter(id int32) string { return virtualRouter + strconv.Itoa(int(id)) }

// ParseVirtualRouter returns the virtual router ID that a reservation holds, if it is
// for one.
func ParseVirtualRouter(held string) (id int32, ok bool) {
	digits, ok := strings.CutPrefix(held, virtualRouter)
	parsed, err := strconv.ParseInt(digits, 10, 32)
	return int32(parsed), ok && err == nil
}

// VirtualRouterReservationName is the name of the AddressReservation of a virtual router
// ID.
func VirtualRouterReservationName(network string, id int32) string {
	return fmt.Sprintf("%s-vrid-%d", network, id)
}

// ReservationNameOf is the name of the AddressReservation of whatever it holds, an
// address or a virtual router ID.
func ReservationNameOf(network, held string) (string, error) {
	if id, ok := ParseVirtualRouter(held); ok {
		return VirtualRouterReservationName(network, id), nil
	}
	address, err := netip.ParseAddr(held)
	if err != nil {
		return "", fmt.Errorf("reading what is reserved in LogicalNetwork %s: %w", network, err)
	}
	return ReservationName(network, address), nil
}

func size(s span) int64 {
	if s.first.Is4() {
		return int64(number(s.last)) - int64(number(s.first)) + 1
	}
	// IPv6 ranges are counted to the last 63 bits.
	first, last := s.first.As16(), s.last.As16()
	for i := range 8 {
		if first[i] != last[i] {
			return math.MaxInt64
		}
	}
	var d uint64
	for i := 8; i < 16; i++ {
		d = d<<8 + uint64(last[i]) - uint64(first[i])
	}
	if d >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(d) + 1
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func maxAddr(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func minAddr(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}
