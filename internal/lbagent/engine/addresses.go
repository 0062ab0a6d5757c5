package engine

import (
	"fmt"
	"net"
	"net/netip"
)

// Addresses returns the addresses of this machine, with their interfaces.
func Addresses() (map[netip.Addr]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	held := map[netip.Addr]string{}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of interface %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				if address, ok := netip.AddrFromSlice(n.IP); ok {
					held[address.Unmap()] = i.Name
				}
			}
		}
	}
	return held, nil
}
