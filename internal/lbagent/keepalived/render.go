package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// wordPattern is all that may stand in a configuration file: nothing in it
// separates words or lines, opens or closes a block, quotes, comments or expands.
// lbapi.Validate has refused such text before, and this does not rely on it.
var wordPattern = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,256}$`)

// page is a configuration file in the making. The first word that may not stand
// in it spoils it.
type page struct {
	text   strings.Builder
	indent string
	err    error
}

func (p *page) line(words ...string) { p.write("", words) }

func (p *page) open(words ...string) {
	p.write(" {", words)
	p.indent += "    "
}

func (p *page) close() {
	p.indent = strings.TrimSuffix(p.indent, "    ")
	p.text.WriteString(p.indent + "}\n")
}

func (p *page) write(after string, words []string) {
	for _, w := range words {
		if !wordPattern.MatchString(w) && p.err == nil {
			p.err = fmt.Errorf("%.80q may not stand in a configuration of keepalived", w)
		}
	}
	if p.err == nil {
		p.text.WriteString(p.indent + strings.Join(words, " ") + after + "\n")
	}
}

// Settings is what a configuration file says apart from the plan.
type Settings struct {
	// Probe is a program and its arguments that succeeds as long as this machine may hold
	// VIPs. It is given the addresses of the other peers, too.
	Probe []string
	// Own returns the interface that has an address.
	Own func(netip.Addr) (string, error)
}

// Render returns the plan in keepalived's words: the same for the same plan and
// machine. The zero plan renders to a keepalived that holds nothing.
func Render(s Settings, plan lbapi.Plan) ([]byte, error) {
	if !reflect.ValueOf(plan).IsZero() {
		if faults := lbapi.Validate(plan); len(faults) > 0 {
			return nil, fmt.Errorf("render plan of generation %d: %s", plan.Generation, faults)
		}
	}
	plan = lbapi.Canonical(plan)
	p := &page{}
	p.text.WriteString("# Written by capstan-lb, which replaces it at every change.\n")
	if len(plan.VIPs) > 0 {
		self, _ := plan.SelfPeer()
		writeGlobal(p, self)
		writeProbe(p, s.Probe, peersOf(plan, self))
		for _, link := range linksOf(plan) {
			if err := writeInstance(p, s, plan, self, link); err != nil {
				return nil, fmt.Errorf("render plan of generation %d: %w", plan.Generation, err)
			}
		}
	}
	if p.err != nil {
		return nil, fmt.Errorf("render plan of generation %d: %w", plan.Generation, p.err)
	}
	return []byte(p.text.String()), nil
}

func writeGlobal(p *page, self lbapi.Peer) {
	p.open("global_defs")
	p.line("router_id", self.Name)
	p.line("vrrp_version", "3")
	p.line("script_user", "root")
	// Root runs nothing that others could have changed.
	p.line("enable_script_security")
	// A machine that is busy, say with connections, says in time that it is there. Not
	// by a real-time priority: a keepalived that has one is killed when a reload with
	// many VIPs keeps it busy for more than a few milliseconds.
	p.line("vrrp_priority", "-20")
	// Neighbours learn of a VIP at once, again after a second, and then every minute
	// in case they were not listening.
	p.line("vrrp_garp_master_delay", "1")
	p.line("vrrp_garp_master_repeat", "3")
	p.line("vrrp_garp_master_refresh", "60")
	p.line("vrrp_garp_master_refresh_repeat", "1")
	// When a cut link is mended, two have the VIPs. Who gives way tells the other one
	// that he was there: else that one would not announce itself again, and neighbours
	// would go on sending to nobody.
	p.line("vrrp_higher_prio_send_advert", "true")
	// While a plan spreads, one peer has it and another has not: that is no reason
	// not to believe the master that was believed before.
	p.line("vrrp_skip_check_adv_addr")
	p.close()
}

// writeProbe gives the VIPs away when the probe fails, which it does only when it has
// been patient: keepalived knows seconds alone, and cannot tell why a probe fails. As
// long as one is at work the next does not begin, and what the last one said stands.
func writeProbe(p *page, probe, peers []string) {
	if len(probe) == 0 {
		return
	}
	p.open("vrrp_script", "fit")
	// The quotes keep program and arguments together; words have none in them.
	command := append(slices.Clone(probe), peers...)
	for _, w := range command {
		if !wordPattern.MatchString(w) && p.err == nil {
			p.err = fmt.Errorf("%.80q may not stand in a configuration of keepalived", w)
		}
	}
	p.text.WriteString(p.indent + `script "` + strings.Join(command, " ") + "\"\n")
	p.line("interval", "1")
	p.line("timeout", "16")
	p.line("fall", "1")
	p.line("rise", "1")
	p.close()
}

// peersOf returns the addresses of all peers but self.
func peersOf(plan lbapi.Plan, self lbapi.Peer) []string {
	var addresses []string
	for _, peer := range plan.Peers {
		if peer.Name != self.Name {
			addresses = append(addresses, peer.Address)
		}
	}
	return addresses
}

// link is a network with VIPs. They move together.
type link struct {
	network, iface string
	vrid           int32
	vips           []lbapi.VIP
}

// linksOf groups VIPs by network. The first of each is the one that is advertised,
// and must not change when others come and go: peers that advertise different
// addresses do not believe each other. That is the VIP of an API server where there
// is one, for it stays as long as the cluster does.
func linksOf(plan lbapi.Plan) []link {
	lasting := map[string]int{}
	for _, f := range plan.Frontends {
		if f.Check.Kind == lbapi.CheckTLSReadyz {
			lasting[f.VIP] = -1
		}
	}
	var links []link
	for _, v := range plan.VIPs {
		i := slices.IndexFunc(links, func(l link) bool { return l.network == v.Network })
		if i < 0 {
			i = len(links)
			links = append(links, link{network: v.Network, iface: v.Interface, vrid: v.VRID})
		}
		links[i].vips = append(links[i].vips, v)
	}
	slices.SortFunc(links, func(a, b link) int { return strings.Compare(a.network, b.network) })
	for _, l := range links {
		slices.SortStableFunc(l.vips, func(a, b lbapi.VIP) int {
			return cmp.Or(cmp.Compare(lasting[a.Address], lasting[b.Address]), strings.Compare(a.Address, b.Address))
		})
	}
	return links
}

func writeInstance(p *page, s Settings, plan lbapi.Plan, self lbapi.Peer, l link) error {
	if l.iface == "" {
		address, err := netip.ParseAddr(self.Address)
		if err != nil {
			return fmt.Errorf("address of peer %.80q: %w", self.Name, err)
		}
		if l.iface, err = s.Own(address); err != nil {
			return fmt.Errorf("interface for VIPs of %s: %w", l.network, err)
		}
	}
	p.open("vrrp_instance", l.iface+"-"+strconv.Itoa(int(l.vrid)))
	// Whoever comes up waits and hears who is there: nobody begins as master.
	p.line("state", "BACKUP")
	p.line("nopreempt")
	p.line("interface", l.iface)
	p.line("virtual_router_id", strconv.Itoa(int(l.vrid)))
	p.line("priority", strconv.Itoa(int(self.Priority)))
	p.line("advert_int", "0.2")
	p.line("version", "3")
	writePeers(p, self, peersOf(plan, self))
	p.open("virtual_ipaddress")
	p.line(host(l.vips[0].Address), "dev", l.iface)
	p.close()
	if len(l.vips) > 1 {
		p.open("virtual_ipaddress_excluded")
		for _, v := range l.vips[1:] {
			p.line(host(v.Address), "dev", l.iface)
		}
		p.close()
	}
	if len(s.Probe) > 0 {
		p.open("track_script")
		p.line("fit")
		p.close()
	}
	p.close()
	return nil
}

// writePeers has adverts go to the peers alone. Who has none tells the loopback, where
// nobody hears it: keepalived finds fault with a list that is empty, and would give the
// VIPs up for a moment when there is a list that was not there before.
func writePeers(p *page, self lbapi.Peer, peers []string) {
	if len(peers) == 0 {
		peers = []string{"127.0.0.1"}
		if strings.Contains(self.Address, ":") {
			peers = []string{"::1"}
		}
	}
	p.line("unicast_src_ip", self.Address)
	p.open("unicast_peer")
	for _, peer := range peers {
		p.line(peer)
	}
	p.close()
}

// host is an address that brings no route with it.
func host(address string) string {
	if strings.Contains(address, ":") {
		return address + "/128"
	}
	return address + "/32"
}
