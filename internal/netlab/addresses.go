package netlab

import (
	"fmt"
	"net/netip"
)

// routeLoopback is the setting without which the kernel drops what comes from a wire
// for 127.0.0.0/8, in all networks of a namespace.
const routeLoopback = "/proc/sys/net/ipv4/conf/all/route_localnet"

// announce is the setting by which a device that comes up tells neighbours of its
// addresses: they may remember another machine that had them.
const announce = "/proc/sys/net/ipv4/conf/all/arp_notify"

// assign are the commands that give a device an address and lead to its network.
func assign(a netip.Prefix, device string) []string {
	add := fmt.Sprintf("address add %s dev %s", a, device)
	if a.Addr().Is6() {
		// Nobody else has it, and programs bind it at once.
		add += " nodad"
	}
	commands := []string{add}
	if a.Addr().IsLoopback() && !a.IsSingleIP() {
		commands = append(commands, lead("add", a.Masked(), device)+" src "+a.Addr().String())
	}
	return commands
}

// lead is the command that leads to a network by a device. The kernel has all of
// 127.0.0.0/8 at lo, in a table that it asks first: what is to be elsewhere has to be
// in that one.
func lead(verb string, network netip.Prefix, device string) string {
	route := fmt.Sprintf("route %s %s dev %s", verb, network, device)
	if network.Addr().IsLoopback() {
		route += " table local"
	}
	return route
}

// Take gives the program itself an address at the switch, besides others.
func (l *Lab) Take(a netip.Addr) error {
	// A device that is given a MAC says who it is.
	again := "link set dev " + bridge + " address " + bridgeMAC
	return batch("", append(assign(netip.PrefixFrom(a, a.BitLen()), bridge), again)...)
}

// Leave takes it away again.
func (l *Lab) Leave(a netip.Addr) error {
	return ip("address", "delete", netip.PrefixFrom(a, a.BitLen()).String(), "dev", bridge)
}
