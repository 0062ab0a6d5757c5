package bootstrap

import (
	"fmt"
	"strings"
)

// InterfaceName is the name of network adapter index in the guest. It is given,
// so that what runs in the guest can rely on it whatever the hypervisor.
func InterfaceName(index int) string { return fmt.Sprintf("eth%d", index) }

// networkConfig is cloud-init's network config version 2.
type networkConfig struct {
	Version   int                 `json:"version"`
	Ethernets map[string]ethernet `json:"ethernets"`
}

// ethernet has its gateways in gateway4 and gateway6, which netplan calls
// deprecated but takes. Of default routes, cloud-init 22.4 refuses the
// destination "default", and makes ::/64 of ::/0 unless netplan is there to take
// the configuration as it is. The gateway keys come out right with all renderers.
//
// Router advertisements are not taken: addresses and gateways are what the
// network's owner wrote down, and a guest that expects advertisements waits some
// twelve seconds for them at each boot. cloud-init 22.4 hands this to netplan
// only; images without netplan say it themselves.
type ethernet struct {
	Match       match        `json:"match"`
	SetName     string       `json:"set-name"`
	DHCP4       bool         `json:"dhcp4"`
	DHCP6       bool         `json:"dhcp6"`
	AcceptRA    bool         `json:"accept-ra"`
	Addresses   []string     `json:"addresses"`
	Gateway4    string       `json:"gateway4,omitempty"`
	Gateway6    string       `json:"gateway6,omitempty"`
	Nameservers *nameservers `json:"nameservers,omitempty"`
	MTU         int          `json:"mtu,omitempty"`
}

type match struct {
	MACAddress string `json:"macaddress"`
}

type nameservers struct {
	Addresses []string `json:"addresses,omitempty"`
	Search    []string `json:"search,omitempty"`
}

func (in *Input) networkConfig() networkConfig {
	c := networkConfig{Version: 2, Ethernets: map[string]ethernet{}}
	for i, n := range in.NICs {
		name := InterfaceName(i)
		// Key and set-name agree because renderers other than netplan's take one or the
		// other for the name of the interface.
		e := ethernet{Match: match{MACAddress: strings.ToLower(n.MAC)}, SetName: name, MTU: n.MTU}
		for _, a := range n.Addresses {
			e.Addresses = append(e.Addresses, a.String())
		}
		for _, g := range n.Gateways {
			if g.Is4() {
				e.Gateway4 = g.String()
			} else {
				e.Gateway6 = g.String()
			}
		}
		if len(n.Nameservers) > 0 || len(n.SearchDomains) > 0 {
			e.Nameservers = &nameservers{Search: n.SearchDomains}
			for _, s := range n.Nameservers {
				e.Nameservers.Addresses = append(e.Nameservers.Addresses, s.String())
			}
		}
		c.Ethernets[name] = e
	}
	return c
}
