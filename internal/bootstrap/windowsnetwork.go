package bootstrap

import (
	"net/netip"
	"strings"
)

// windowsNetworkConfig is cloud-init's network config version 1. It is for
// Windows because each address has a gateway of its own in it: of version 2,
// cloudbase-init takes one gateway and gives it to the addresses of both families.
// Source: cloudbaseinit/metadata/services/nocloudservice.py.
type windowsNetworkConfig struct {
	Version int                 `json:"version"`
	Config  []windowsConnection `json:"config"`
}

type windowsConnection struct {
	Type       string          `json:"type"`
	Name       string          `json:"name"`
	MACAddress string          `json:"mac_address"`
	MTU        int             `json:"mtu,omitempty"`
	Subnets    []windowsSubnet `json:"subnets"`
}

type windowsSubnet struct {
	Type        string   `json:"type"`
	Address     string   `json:"address"`
	Gateway     string   `json:"gateway,omitempty"`
	Nameservers []string `json:"dns_nameservers,omitempty"`
}

func (in *Input) windowsNetwork() windowsNetworkConfig {
	c := windowsNetworkConfig{Version: 1}
	for i, n := range in.NICs {
		connection := windowsConnection{Type: "physical", Name: InterfaceName(i), MACAddress: strings.ToLower(n.MAC), MTU: n.MTU}
		for _, a := range n.Addresses {
			connection.Subnets = append(connection.Subnets, n.windowsSubnet(a))
		}
		c.Config = append(c.Config, connection)
	}
	return c
}

func (n *NIC) windowsSubnet(address netip.Prefix) windowsSubnet {
	s := windowsSubnet{Type: "static", Address: address.String()}
	if !address.Addr().Is4() {
		s.Type = "static6"
	}
	for _, g := range n.Gateways {
		if g.Is4() == address.Addr().Is4() {
			s.Gateway = g.String()
		}
	}
	for _, server := range n.Nameservers {
		if server.Is4() == address.Addr().Is4() {
			s.Nameservers = append(s.Nameservers, server.String())
		}
	}
	return s
}
