package lbplan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// usableNodes are those that a backend can be made of, each address once.
func usableNodes(plan lbapi.Plan, services []Service, nodes []Node) (usable []Node, refused []Refusal) {
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Address, b.Address))
	})
	vips, peers := map[string]bool{}, map[string]bool{}
	var networks []netip.Prefix
	for _, vip := range plan.VIPs {
		vips[vip.Address] = true
		if network, err := netip.ParsePrefix(vip.Network); err == nil {
			networks = append(networks, network)
		}
	}
	for _, peer := range plan.Peers {
		peers[peer.Address] = true
	}
	for _, service := range services {
		vips[service.VIP] = true
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, node := range sorted {
		why := whyUnusable(node.Address, networks)
		switch {
		case why != "":
		case peers[node.Address]:
			why = node.Address + " is the address of a load-balancer VM"
		case vips[node.Address]:
			why = node.Address + " is a virtual address of the load balancer"
		case names[plainName(node.Name)]:
			why = "another node has its name"
		case addresses[node.Address]:
			why = "another node has its address " + node.Address
		}
		if why != "" {
			refused = append(refused, Refusal{IsNode: true, Name: node.Name, Why: why})
			continue
		}
		names[plainName(node.Name)], addresses[node.Address] = true, true
		usable = append(usable, node)
	}
	return usable, refused
}

// whyUnusable says why nothing can be at an address, or "". Virtual addresses are of
// IPv4, and a load-balancer VM has no other. A node is named by its cluster, which must
// not lead clients to what the VM itself listens on, or to its hypervisor's services: only
// where that is the network of the load balancer, as it is simulated, are such addresses
// those of nodes.
func whyUnusable(s string, networks []netip.Prefix) string {
	address, err := netip.ParseAddr(s)
	switch {
	case err != nil || !address.Is4():
		return quote(s) + " is not an IPv4 address"
	case address.IsUnspecified() || address.IsMulticast() || address == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return s + " is not the address of one host"
	case address.IsLoopback() || address.IsLinkLocalUnicast() || thisNetwork.Contains(address):
		if !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) }) {
			return s + " means something else on each machine"
		}
	}
	return ""
}

// thisNetwork is what a host may call itself and its network before it has an address.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
