package virtualmachine

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// userName is who may log in.
const userName = "capstan"

// seedOf makes the seed. What is wrong with it is in the error, never what is in
// it.
func seedOf(s *scope, data map[string][]byte) ([]byte, error) {
	in := bootstrap.Input{
		Identity:  bootstrap.Identity{VM: s.vm.Spec.ID, Hostname: s.vm.Name},
		OS:        bootstrap.OS(s.vm.Spec.OS),
		Additions: additions(s),
	}
	if s.vm.Spec.Role == capstanv1.RoleLoadBalancer {
		in.LoadBalancer = &bootstrap.LoadBalancer{Config: data[bootstrapKey]}
	} else {
		in.UserData, in.Format = data[bootstrapKey], bootstrap.Format(data["format"])
	}
	for i := range s.networks {
		nic, err := nicOf(s, i)
		if err != nil {
			return nil, err
		}
		in.NICs = append(in.NICs, nic)
	}
	return bootstrap.Seed(in)
}

func nicOf(s *scope, i int) (bootstrap.NIC, error) {
	network, address := s.networks[i].Spec, s.addresses[i].Spec
	nic := bootstrap.NIC{
		MAC:           hostapi.MACAddress(hostapi.VMID(s.vm.Spec.ID), i),
		SearchDomains: network.SearchDomains, MTU: int(network.MTU),
	}
	ip, err := netip.ParseAddr(address.Address)
	if err != nil {
		return nic, fmt.Errorf("IPAddress %s: %w", s.addresses[i].Name, err)
	}
	subnet, err := netip.ParsePrefix(network.Subnets[0].CIDR)
	if err != nil {
		return nic, fmt.Errorf("LogicalNetwork %s: %w", s.networks[i].Name, err)
	}
	nic.Addresses = []netip.Prefix{netip.PrefixFrom(ip, int(ptr.Deref(address.Prefix, int32(subnet.Bits()))))}
	gateway := address.Gateway
	if gateway == "" {
		gateway = network.Subnets[0].Gateway
	}
	if gateway != "" {
		addr, err := netip.ParseAddr(gateway)
		if err != nil {
			return nic, fmt.Errorf("gateway of IPAddress %s: %w", s.addresses[i].Name, err)
		}
		nic.Gateways = []netip.Addr{addr}
	}
	for _, server := range network.DNSServers {
		addr, err := netip.ParseAddr(server)
		if err != nil {
			return nic, fmt.Errorf("dnsServers of LogicalNetwork %s: %w", s.networks[i].Name, err)
		}
		nic.Nameservers = append(nic.Nameservers, addr)
	}
	return nic, nil
}

func additions(s *scope) bootstrap.Additions {
	from := s.vm.Spec.GuestSettings
	out := bootstrap.Additions{NTPServers: from.NTPServers, TrustBundle: []byte(from.TrustBundle)}
	for _, m := range from.RegistryMirrors {
		out.RegistryMirrors = append(out.RegistryMirrors, bootstrap.RegistryMirror{Host: m.Registry, Endpoints: m.Endpoints})
	}
	if from.Proxy != nil {
		out.Proxy = bootstrap.Proxy{HTTP: from.Proxy.HTTPProxy, HTTPS: from.Proxy.HTTPSProxy, NoProxy: noProxy(s, from.Proxy.NoProxy)}
	}
	if len(from.SSHAuthorizedKeys) > 0 {
		out.User = &bootstrap.User{Name: userName, AuthorizedKeys: from.SSHAuthorizedKeys}
	}
	return out
}

// noProxy completes what is reached directly by the cluster's own networks,
// endpoint and domain: through a proxy none of them would be reached.
func noProxy(s *scope, given []string) []string {
	all := append(slices.Clone(given), "localhost", "127.0.0.0/8", ".svc")
	for _, n := range s.networks {
		for _, subnet := range n.Spec.Subnets {
			all = append(all, subnet.CIDR)
		}
	}
	if s.cluster != nil {
		network := s.cluster.Spec.ClusterNetwork
		all = append(all, network.Pods.CIDRBlocks...)
		all = append(all, network.Services.CIDRBlocks...)
		if network.ServiceDomain != "" {
			all = append(all, "."+network.ServiceDomain)
		}
		if host := s.cluster.Spec.ControlPlaneEndpoint.Host; host != "" {
			all = append(all, host)
		}
	}
	var out []string
	for _, entry := range all {
		if !slices.Contains(out, entry) {
			out = append(out, entry)
		}
	}
	return out
}
