package seed

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// NIC is the static configuration of one network adapter.
type NIC struct {
	MAC       string
	Addresses []netip.Prefix
	Gateway   netip.Addr
	DNS       []netip.Addr
}

// networkConfig is version 2 of cloud-init's network configuration, as far as
// static addresses need it. Unknown fields are errors: what is not understood
// here could not be simulated.
type networkConfig struct {
	Version   int                 `json:"version"`
	Renderer  string              `json:"renderer,omitempty"`
	Ethernets map[string]ethernet `json:"ethernets"`
}

type ethernet struct {
	Match struct {
		MACAddress string `json:"macaddress"`
	} `json:"match"`
	SetName     string   `json:"set-name,omitempty"`
	DHCP4       bool     `json:"dhcp4,omitempty"`
	DHCP6       bool     `json:"dhcp6,omitempty"`
	AcceptRA    *bool    `json:"accept-ra,omitempty"`
	LinkLocal   []string `json:"link-local,omitempty"`
	Optional    bool     `json:"optional,omitempty"`
	MTU         int      `json:"mtu,omitempty"`
	Addresses   []string `json:"addresses,omitempty"`
	Gateway4    string   `json:"gateway4,omitempty"`
	Gateway6    string   `json:"gateway6,omitempty"`
	Nameservers struct {
		Addresses []string `json:"addresses,omitempty"`
		Search    []string `json:"search,omitempty"`
	} `json:"nameservers,omitempty"`
	Routes []struct {
		To     string `json:"to"`
		Via    string `json:"via"`
		Metric int    `json:"metric,omitempty"`
		OnLink bool   `json:"on-link,omitempty"`
	} `json:"routes,omitempty"`
}

// readNetworkConfig returns the configuration of every adapter, in the order of
// macs. Each must be configured, and nothing else may be: an address for an
// adapter that is not there would be configured nowhere.
func readNetworkConfig(data []byte, macs []string) ([]NIC, error) {
	cfg, err := decodeNetworkConfig(data)
	if err != nil {
		return nil, err
	}
	byMAC := map[string]NIC{}
	names := make([]string, 0, len(cfg.Ethernets))
	for name := range cfg.Ethernets {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		nic, err := readEthernet(cfg.Ethernets[name])
		if err != nil {
			return nil, fmt.Errorf("ethernets.%s: %w", name, err)
		}
		if !slices.ContainsFunc(macs, func(m string) bool { return strings.EqualFold(m, nic.MAC) }) {
			return nil, fmt.Errorf("ethernets.%s: no adapter of this machine has the MAC address %s, it has %s", name, nic.MAC, strings.Join(macs, ", "))
		}
		if _, ok := byMAC[nic.MAC]; ok {
			return nil, fmt.Errorf("ethernets.%s: the adapter %s is configured twice", name, nic.MAC)
		}
		byMAC[nic.MAC] = nic
	}
	return inOrder(byMAC, macs)
}

// inOrder returns what is configured in the order of the machine's adapters, each of
// which must be.
func inOrder(byMAC map[string]NIC, macs []string) ([]NIC, error) {
	nics := make([]NIC, 0, len(macs))
	for _, mac := range macs {
		nic, ok := byMAC[strings.ToLower(mac)]
		if !ok {
			return nil, fmt.Errorf("the adapter %s is not configured", mac)
		}
		nics = append(nics, nic)
	}
	if len(nics) == 0 {
		return nil, errors.New("the machine has no network adapter")
	}
	return nics, nil
}

func decodeNetworkConfig(data []byte) (networkConfig, error) {
	// Netplan's own files have everything under "network", NoCloud takes both.
	var wrapped struct {
		Network *networkConfig `json:"network"`
	}
	var cfg networkConfig
	if err := yaml.UnmarshalStrict(data, &wrapped); err == nil && wrapped.Network != nil {
		cfg = *wrapped.Network
	} else if err := yaml.UnmarshalStrict(data, &cfg); err != nil {
		return networkConfig{}, fmt.Errorf("it is not understood: %w", err)
	}
	if cfg.Version != 2 {
		return networkConfig{}, fmt.Errorf("version is %d, must be 2", cfg.Version)
	}
	return cfg, nil
}

func readEthernet(e ethernet) (NIC, error) {
	if e.Match.MACAddress == "" {
		return NIC{}, errors.New("match.macaddress is missing")
	}
	if e.DHCP4 || e.DHCP6 {
		return NIC{}, errors.New("there is no DHCP server on this network")
	}
	nic := NIC{MAC: strings.ToLower(e.Match.MACAddress)}
	for _, a := range e.Addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return NIC{}, fmt.Errorf("address %q is not an address with a prefix length", a)
		}
		nic.Addresses = append(nic.Addresses, p)
	}
	if len(nic.Addresses) == 0 {
		return NIC{}, errors.New("it has no address")
	}
	gateway, err := gatewayOf(e)
	if err != nil {
		return NIC{}, err
	}
	if gateway.IsValid() && !slices.ContainsFunc(nic.Addresses, func(p netip.Prefix) bool { return p.Contains(gateway) }) {
		return NIC{}, fmt.Errorf("the gateway %s is not in the subnet of any address", gateway)
	}
	nic.Gateway = gateway
	for _, s := range e.Nameservers.Addresses {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return NIC{}, fmt.Errorf("name server %q is not an address", s)
		}
		nic.DNS = append(nic.DNS, a)
	}
	return nic, nil
}

func gatewayOf(e ethernet) (netip.Addr, error) {
	via := e.Gateway4
	for _, r := range e.Routes {
		if _, err := netip.ParseAddr(r.Via); err != nil {
			return netip.Addr{}, fmt.Errorf("the gateway %q of route %q is not an address", r.Via, r.To)
		}
		if r.To == "default" || r.To == "0.0.0.0/0" {
			via = r.Via
		}
	}
	if via == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(via)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the gateway %q is not an address", via)
	}
	return a, nil
}
