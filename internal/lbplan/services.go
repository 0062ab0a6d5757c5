package lbplan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Bounds on what one load balancer carries for Services. Beyond them a Service is
// refused, where lbapi would refuse the whole plan.
const (
	MaxServiceVIPs  = 255
	MaxServicePorts = 4000
	// MaxServiceBackends bounds the ports times the nodes. Each takes 11 KiB of HAProxy's
	// memory, in every worker that a reload leaves behind, and a check of its own.
	MaxServiceBackends = 10000
	// MaxServiceSources bounds the ports times the source ranges of their Services, each
	// of which is a line of HAProxy's configuration.
	MaxServiceSources = 50000
)

// healthzPath is asked on a Service's health-check port: kube-proxy answers there.
const healthzPath = "/healthz"

// Service is a Service of type LoadBalancer.
type Service struct {
	// Name is "namespace/name".
	Name string
	// VIP is an address of Network, which is held for the load balancer. It need not
	// be among Input's VIPs.
	VIP   string
	Ports []Port
	// AllowedSources are the networks that may connect; empty for everyone.
	AllowedSources []string
	// HealthCheckPort is the port of a node that answers over HTTP whether the node
	// takes connections; 0 to see whether the node port accepts one.
	HealthCheckPort int32
}

// Port is a TCP port of a Service.
type Port struct {
	Port     int32
	NodePort int32
}

// Node is a node of the cluster that takes connections to Services.
type Node struct {
	Name    string
	Address string
	// Draining nodes keep their connections and get no new ones.
	Draining bool
}

// Refusal says why a Service, or a node, is not in the plans.
type Refusal struct {
	// IsNode tells a node from a Service.
	IsNode    bool
	Name, Why string
}

// String says it in words, on one line.
func (r Refusal) String() string {
	if r.IsNode {
		return "node " + quote(r.Name) + ": " + r.Why
	}
	return "Service " + quote(r.Name) + ": " + r.Why
}

// addServices adds what the Services need to a plan that is valid without them. A
// Service that would make it invalid is left out, and told: whoever writes Services
// must not be able to stand in the way of the API server or of other Services.
func addServices(plan lbapi.Plan, in Input) (lbapi.Plan, []Refusal) {
	if len(in.Services) == 0 {
		return plan, nil
	}
	nodes, refused := usableNodes(plan, in.Services, in.Nodes)
	a := adder{
		plan: plan, nodes: nodes, base: plan.VIPs,
		names: map[string]bool{}, others: map[string]bool{}, added: map[string]bool{}, taken: map[endpoint]string{},
	}
	for _, f := range plan.Frontends {
		for _, b := range f.Backends {
			a.others[b.Address] = true
		}
	}
	services := slices.Clone(in.Services)
	slices.SortStableFunc(services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	for _, service := range services {
		if why := a.add(service); why != "" {
			refused = append(refused, Refusal{Name: service.Name, Why: why})
		}
	}
	return a.plan, refused
}

type endpoint struct {
	vip  string
	port int32
}

type adder struct {
	plan  lbapi.Plan
	nodes []Node
	// base are the VIPs that are not for Services, and added those that are by now.
	base  []lbapi.VIP
	added map[string]bool
	// others are the addresses of what is not behind a Service.
	others map[string]bool
	// names are the Services that are in the plan.
	names map[string]bool
	// taken are the ports that are in use, with who uses them.
	taken map[endpoint]string
	// sources are the source ranges of all their frontends.
	sources int
}

// add adds one Service, or says why it does not.
func (a *adder) add(service Service) string {
	switch {
	case len(service.Ports) == 0:
		return "it has no ports"
	case a.names[service.Name]:
		return "it is there twice"
	}
	vip, why := a.vipOf(service.VIP)
	if why != "" {
		return why
	}
	if len(a.taken)+len(service.Ports) > MaxServicePorts {
		return fmt.Sprintf("the load balancer carries %d ports for Services already, of at most %d", len(a.taken), MaxServicePorts)
	}
	if why := a.tooMuch(service); why != "" {
		return why
	}
	// Judged without the other Services: they are valid, and there may be many.
	alone := a.plan
	alone.VIPs, alone.Frontends = append(slices.Clone(a.base), vip), nil
	for _, port := range service.Ports {
		if by, taken := a.taken[endpoint{vip.Address, port.Port}]; taken {
			return fmt.Sprintf("port %d of %s is Service %s's", port.Port, vip.Address, quote(by))
		}
		alone.Frontends = append(alone.Frontends, a.frontendOf(service, port))
	}
	if faults := lbapi.Validate(alone); len(faults) > 0 {
		return faults.String()
	}
	if !a.added[vip.Address] {
		a.plan.VIPs = append(slices.Clip(a.plan.VIPs), vip)
		a.added[vip.Address] = true
	}
	a.names[service.Name] = true
	a.sources += len(service.Ports) * len(service.AllowedSources)
	a.plan.Frontends = append(a.plan.Frontends, alone.Frontends...)
	for _, port := range service.Ports {
		a.taken[endpoint{vip.Address, port.Port}] = service.Name
	}
	return ""
}

// tooMuch says what of one more Service is out of proportion, or "".
func (a *adder) tooMuch(service Service) string {
	ports, nodes, sources := len(service.Ports), len(a.nodes), len(service.AllowedSources)
	if (len(a.taken)+ports)*nodes > MaxServiceBackends {
		return fmt.Sprintf("with its %d ports the load balancer would carry %d ports for Services on %d nodes: the product may be %d at most",
			ports, len(a.taken)+ports, nodes, MaxServiceBackends)
	}
	if a.sources+ports*sources > MaxServiceSources {
		return fmt.Sprintf("with its %d source ranges on %d ports the load balancer would have %d for Services, of at most %d",
			sources, ports, a.sources+ports*sources, MaxServiceSources)
	}
	return ""
}

// vipOf is the virtual address with what it has in common with those of its network.
func (a *adder) vipOf(address string) (vip lbapi.VIP, why string) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return lbapi.VIP{}, quote(address) + " is not an address"
	}
	if a.others[address] {
		return lbapi.VIP{}, address + " is the address of a control-plane machine"
	}
	if !a.added[address] && len(a.added) == MaxServiceVIPs {
		return lbapi.VIP{}, fmt.Sprintf("the load balancer carries %d virtual addresses for Services already: let some share one", MaxServiceVIPs)
	}
	for _, base := range a.base {
		if base.Address == address {
			return lbapi.VIP{}, address + " is the virtual address of the API server"
		}
		if network, err := netip.ParsePrefix(base.Network); err == nil && network.Contains(addr) {
			vip = lbapi.VIP{Address: address, Network: base.Network, Interface: base.Interface, VRID: base.VRID}
		}
	}
	if vip.Address == "" {
		return lbapi.VIP{}, address + " is outside the networks of the load balancer"
	}
	return vip, ""
}

func (a *adder) frontendOf(service Service, port Port) lbapi.Frontend {
	f := lbapi.Frontend{
		Name: frontendName(service.Name, port.Port), VIP: service.VIP, Port: port.Port, Protocol: lbapi.TCP,
		AllowedSources: service.AllowedSources,
		Check: lbapi.Check{
			Kind: lbapi.CheckTCP, Interval: 2 * time.Second, Timeout: 2 * time.Second, Rise: 1, Fall: 2,
		},
	}
	if service.HealthCheckPort != 0 {
		f.Check.Kind, f.Check.Path, f.Check.Port = lbapi.CheckHTTP, healthzPath, service.HealthCheckPort
	}
	// As with API servers: as long as there is no other, turning clients away helps
	// nobody.
	spare := slices.ContainsFunc(a.nodes, func(n Node) bool { return !n.Draining })
	for _, node := range a.nodes {
		f.Backends = append(f.Backends, lbapi.Backend{
			Name: plainName(node.Name), Address: node.Address, Port: port.NodePort, Drain: node.Draining && spare,
		})
	}
	return f
}

// frontendName is "namespace.name.port" wherever that is a name, since people read it
// in statistics. A namespace and the name of a Service hold no dots, so no two are
// alike; neither is one like APIFrontend, or like what takes its place.
func frontendName(service string, port int32) string {
	namespace, name, ok := strings.Cut(service, "/")
	plain := fmt.Sprintf("%s.%s.%d", namespace, name, port)
	if ok && !strings.Contains(namespace+name, ".") && isPlain(plain) {
		return plain
	}
	return fmt.Sprintf("service-%s.%d", digest(service), port)
}

// plainName is a node's name wherever it can be a backend's.
func plainName(node string) string {
	if isPlain(node) && !strings.HasPrefix(node, "node-sha-") {
		return node
	}
	return "node-sha-" + digest(node)
}

// isPlain tells whether s is a name by the rules of lbapi, or stricter ones.
func isPlain(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	letterOrDigit := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	for i := range len(s) {
		if c := s[i]; !letterOrDigit(c) && c != '-' && c != '.' {
			return false
		}
	}
	return letterOrDigit(s[0]) && letterOrDigit(s[len(s)-1])
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// quote shows a value from outside on one line and not at length.
func quote(s string) string {
	const most = 130
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
