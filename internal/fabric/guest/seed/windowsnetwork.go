package seed

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// windowsNetwork is version 1 of the network configuration, as far as cloudbase-init
// makes something of it.
type windowsNetwork struct {
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

// readWindowsNetwork returns the configuration of every adapter, in the order of
// macs.
func readWindowsNetwork(data []byte, macs []string) ([]NIC, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := yaml.Unmarshal(data, &version); err != nil {
		return nil, errors.New("it is not a YAML map")
	}
	if version.Version == 2 {
		return readWindowsNetworkV2(data, macs)
	}
	var network windowsNetwork
	if err := yaml.UnmarshalStrict(data, &network); err != nil {
		return nil, fmt.Errorf("it is not understood: %w", err)
	}
	if network.Version != 1 {
		return nil, fmt.Errorf("version is %d, must be 1 or 2", network.Version)
	}
	byMAC := map[string]NIC{}
	for i, c := range network.Config {
		nic, err := readConnection(c)
		if err != nil {
			return nil, fmt.Errorf("config[%d]: %w", i, err)
		}
		if !slices.ContainsFunc(macs, func(m string) bool { return strings.EqualFold(m, nic.MAC) }) {
			return nil, fmt.Errorf("config[%d]: no adapter of this machine has the MAC address %s, it has %s", i, nic.MAC, strings.Join(macs, ", "))
		}
		if _, ok := byMAC[nic.MAC]; ok {
			return nil, fmt.Errorf("config[%d]: the adapter %s is configured twice", i, nic.MAC)
		}
		byMAC[nic.MAC] = nic
	}
	return inOrder(byMAC, macs)
}

// readWindowsNetworkV2 reads version 2, of which cloudbase-init takes one gateway
// for the addresses of both families.
func readWindowsNetworkV2(data []byte, macs []string) ([]NIC, error) {
	config, err := decodeNetworkConfig(data)
	if err != nil {
		return nil, err
	}
	for name, e := range config.Ethernets {
		if e.Gateway4 != "" && e.Gateway6 != "" {
			return nil, fmt.Errorf("ethernets.%s: of two gateways cloudbase-init gives gateway6 to all addresses: use version 1", name)
		}
	}
	nics, err := readNetworkConfig(data, macs)
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		if err := oneOfAFamily(nic.Addresses); err != nil {
			return nil, err
		}
	}
	return nics, nil
}

func readConnection(c windowsConnection) (NIC, error) {
	switch {
	case c.Type != "physical":
		return NIC{}, fmt.Errorf("type %q is not simulated", c.Type)
	case c.Name == "":
		return NIC{}, errors.New("name is missing")
	case c.MACAddress == "":
		return NIC{}, errors.New("mac_address is missing")
	}
	nic := NIC{MAC: strings.ToLower(c.MACAddress)}
	for i, s := range c.Subnets {
		if err := nic.add(s); err != nil {
			return NIC{}, fmt.Errorf("subnets[%d]: %w", i, err)
		}
	}
	if len(nic.Addresses) == 0 {
		return NIC{}, errors.New("it has no address")
	}
	return nic, oneOfAFamily(nic.Addresses)
}

func (n *NIC) add(s windowsSubnet) error {
	if s.Type == "dhcp" || s.Type == "dhcp6" {
		return errors.New("there is no DHCP server on this network")
	}
	address, err := netip.ParsePrefix(s.Address)
	if err != nil {
		return fmt.Errorf("address %q is not an address with a prefix length", s.Address)
	}
	n.Addresses = append(n.Addresses, address)
	if s.Gateway != "" {
		gateway, err := netip.ParseAddr(s.Gateway)
		if err != nil || !address.Contains(gateway) {
			return fmt.Errorf("the gateway %q is not in the subnet of the address", s.Gateway)
		}
		if gateway.Is4() || !n.Gateway.IsValid() {
			n.Gateway = gateway
		}
	}
	for _, server := range s.Nameservers {
		a, err := netip.ParseAddr(server)
		if err != nil {
			return fmt.Errorf("name server %q is not an address", server)
		}
		n.DNS = append(n.DNS, a)
	}
	return nil
}

// oneOfAFamily refuses what cloudbase-init would undo: it removes the addresses
// of a family that are there when it sets one.
func oneOfAFamily(addresses []netip.Prefix) error {
	for i, a := range addresses {
		for _, b := range addresses[:i] {
			if a.Addr().Is4() == b.Addr().Is4() {
				return fmt.Errorf("the address %s would take the place of %s", a, b)
			}
		}
	}
	return nil
}
