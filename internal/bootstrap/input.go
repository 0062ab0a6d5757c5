package bootstrap

import "net/netip"

// Input is all that a seed is made of.
type Input struct {
	Identity Identity
	OS       OS
	// NICs are the network adapters in order; adapter i is called InterfaceName(i)
	// in the guest.
	NICs []NIC
	// UserData is what the bootstrap provider wrote. It may be empty, for VMs that
	// are no machines of a cluster.
	UserData []byte
	// Format is what the bootstrap provider says of UserData. Empty means
	// CloudConfig.
	Format       Format
	Additions    Additions
	LoadBalancer *LoadBalancer
}

// Identity is who a VM is.
type Identity struct {
	// VM is the identity of the VM, a UUID. It is cloud-init's instance ID: a guest
	// that sees another one takes itself for a new machine.
	VM string
	// Hostname is a single DNS label.
	Hostname string
}

// OS is the family of operating system in the guest.
type OS string

// Families of operating systems.
const (
	Linux   OS = "Linux"
	Windows OS = "Windows"
)

// Format is the format of user data.
type Format string

// Formats of user data, as Cluster API's bootstrap contract names them.
const (
	CloudConfig Format = "cloud-config"
	Ignition    Format = "ignition"
)

// NIC is one network adapter.
type NIC struct {
	// MAC is how the guest finds the adapter.
	MAC string
	// Addresses are static, one or more for each address family.
	Addresses []netip.Prefix
	// Gateways are at most one for each address family.
	Gateways []netip.Addr
	// Nameservers and SearchDomains are for resolving names.
	Nameservers   []netip.Addr
	SearchDomains []string
	// MTU is 0 for the network's own.
	MTU int
}

// Additions are what Capstan adds to a guest besides its user data. Each can be
// left empty.
type Additions struct {
	// NTPServers are host names or addresses.
	NTPServers []string
	// TrustBundle is PEM certificates that the whole guest trusts.
	TrustBundle []byte
	// RegistryMirrors are asked before the registries themselves.
	RegistryMirrors []RegistryMirror
	Proxy           Proxy
	// User may log in by SSH and become root.
	User *User
	// Files are written before anything of the user data runs. Where the user data
	// writes the same file, the user data's is what stays.
	Files []File
}

// RegistryMirror is where images of one registry are fetched first.
type RegistryMirror struct {
	// Host is the registry's host, with a port if it has one, as in the names of
	// images: docker.io, registry.example.com:5000. "_default" is all registries
	// that have no mirror of their own.
	Host string
	// Endpoints are base URLs, asked in order.
	Endpoints []string
}

// Proxy is how containerd and kubelet reach the outside.
type Proxy struct {
	HTTP, HTTPS string
	// NoProxy are hosts, domains and CIDRs that are reached directly. The caller
	// must name the cluster's own networks and endpoint.
	NoProxy []string
}

// User is an account for people.
type User struct {
	Name           string
	AuthorizedKeys []string
}

// File is a file in the guest.
type File struct {
	// Path is absolute.
	Path string
	// Permissions are octal, "0644" by default.
	Permissions string
	// Owner is "user:group", "root:root" by default.
	Owner   string
	Content []byte
}

// LoadBalancer is what makes a VM a load balancer.
type LoadBalancer struct {
	// Config is the content of the agent's configuration file.
	Config []byte
}
