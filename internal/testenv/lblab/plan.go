package lblab

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Port is the port of the first frontend and of all servers, who answer on NodePort,
// too.
const (
	Port     = 6443
	NodePort = 30080
)

// vrid is the virtual router ID of the laboratory's network.
const vrid = 51

// servers is how many there are behind each port.
const servers = 8

// silent is an address at which nobody answers, not even with a refusal.
var silent = netip.MustParseAddr("10.77.0.99")

// Check is how often backends are asked in the laboratory: often, so that no suite
// waits for it.
func Check() lbapi.Check {
	return lbapi.Check{Kind: lbapi.CheckTCP, Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Rise: 1, Fall: 2}
}

// Server returns a backend that answers as "s" and its number, from 0 to 7.
func Server(number int) lbapi.Backend {
	return lbapi.Backend{Name: fmt.Sprintf("s%d", number), Address: serverAddress(number).String(), Port: Port}
}

// Dead returns a backend that never answers.
func Dead() lbapi.Backend {
	return lbapi.Backend{Name: "dead", Address: silent.String(), Port: Port}
}

func serverAddress(number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, 0, byte(20 + number)})
}

// Frontend returns a frontend of the first VIP with two servers.
func Frontend(name string, port int32) lbapi.Frontend {
	return lbapi.Frontend{
		Name: name, VIP: VIP.String(), Port: port, Protocol: lbapi.TCP,
		Backends: []lbapi.Backend{Server(0), Server(1)}, Check: Check(),
	}
}

// Plan returns a plan for all VMs with one VIP, and one frontend with two servers.
func (l *Lab) Plan() lbapi.Plan {
	plan := lbapi.Plan{
		Cluster:   "lab/shop",
		VIPs:      []lbapi.VIP{NewVIP(VIP)},
		Frontends: []lbapi.Frontend{Frontend("api", Port)},
	}
	for i, vm := range l.VMs {
		plan.Peers = append(plan.Peers, lbapi.Peer{Name: vm.Name, Address: vm.Address.String(), Priority: int32(200 - 10*i)})
	}
	return plan
}

// NewVIP returns a VIP of the laboratory's network.
func NewVIP(address netip.Addr) lbapi.VIP {
	return lbapi.VIP{Address: address.String(), Network: Network.String(), VRID: vrid}
}

// Plan6 returns the same as Plan with the IPv6 addresses of all.
func (l *Lab) Plan6() lbapi.Plan {
	six := func(address string) string { return Six(netip.MustParseAddr(address)).String() }
	plan := l.Plan()
	for i := range plan.VIPs {
		plan.VIPs[i].Address, plan.VIPs[i].Network = six(plan.VIPs[i].Address), Network6.String()
	}
	for i := range plan.Peers {
		plan.Peers[i].Address = six(plan.Peers[i].Address)
	}
	for i := range plan.Frontends {
		f := &plan.Frontends[i]
		f.VIP = six(f.VIP)
		for j := range f.Backends {
			f.Backends[j].Address = six(f.Backends[j].Address)
		}
	}
	return plan
}

// Services returns a plan that has so many Services beside the first frontend, each
// on a VIP of its own.
func (l *Lab) Services(count int) lbapi.Plan {
	plan := l.Plan()
	for i := range count {
		vip := netip.AddrFrom4([4]byte{10, 77, 1, byte(1 + i)})
		f := Frontend(fmt.Sprintf("service-%03d", i), 80)
		f.VIP = vip.String()
		plan.VIPs = append(plan.VIPs, NewVIP(vip))
		plan.Frontends = append(plan.Frontends, f)
	}
	return plan
}
