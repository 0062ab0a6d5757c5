package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
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

// StripAddress takes a VIP away from an interface of this machine. An address with
// another prefix than a VIP's, as the machine's own has, stays.
func StripAddress(ctx context.Context, vip netip.Addr, iface string) error {
	prefix := netip.PrefixFrom(vip, vip.BitLen()).String()
	out, err := exec.CommandContext(ctx, "ip", "address", "delete", prefix, "dev", iface).CombinedOutput() //nolint:gosec // an address, and an interface's name that the kernel gave
	if err != nil {
		return fmt.Errorf("delete address %s of interface %s: %w: %s", prefix, iface, err, daemon.Shortened(string(out)))
	}
	return nil
}
