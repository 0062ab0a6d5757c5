package hyperv

import (
	"context"
	"net/netip"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// maxAddresses is how many addresses of a guest are passed on.
const maxAddresses = 16

// addresses are what the guest reports by key-value exchange.
func (m *machine) addresses(ctx context.Context) ([]string, error) {
	c, ok, err := m.component(ctx, "Msvm_KvpExchangeComponent", "GuestIntrinsicExchangeItems")
	if err != nil || !ok {
		return nil, err
	}
	return guestAddresses(c.Strings("GuestIntrinsicExchangeItems")), nil
}

// guestAddresses reads addresses out of what a guest wrote. Whatever is no address of a network is left out: a guest may
// write anything.
func guestAddresses(items []string) []string {
	var out []string
	for _, item := range items {
		class, values, err := wmi.ParseText(item)
		if err != nil || class != "Msvm_KvpExchangeDataItem" {
			continue
		}
		if name := values.String("Name"); name != "NetworkAddressIPv4" && name != "NetworkAddressIPv6" {
			continue
		}
		for text := range strings.SplitSeq(values.String("Data"), ";") {
			address, err := netip.ParseAddr(strings.TrimSpace(text))
			if err != nil || everybodys(address) || address.IsUnspecified() || address.IsLinkLocalUnicast() || address.Zone() != "" {
				continue
			}
			if len(out) == maxAddresses {
				return out
			}
			out = append(out, address.String())
		}
	}
	return out
}

// everybodys tells whether every machine has an address. Others of 127.0.0.0/8 are not said by chance.
func everybodys(a netip.Addr) bool {
	return a == netip.IPv6Loopback() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
