package keepalived_test

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/keepalived"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

func own(a netip.Addr) (string, error) {
	if a != netip.MustParseAddr("192.0.2.2") && a != netip.MustParseAddr("2001:db8::2") {
		return "", fmt.Errorf("no interface has %s", a)
	}
	return "eth0", nil
}

var settings = keepalived.Settings{Probe: []string{"/usr/bin/capstan-lb", "probe", "/run/capstan-lb/haproxy.sock"}, Own: own}

func vip(address string) lbapi.VIP {
	return lbapi.VIP{Address: address, Network: "192.0.2.0/24", VRID: 51}
}

func newPlan(with ...func(*lbapi.Plan)) lbapi.Plan {
	p := lbapi.Plan{
		Generation: 7, Cluster: "default/shop", Self: "lb-0",
		VIPs: []lbapi.VIP{vip("192.0.2.10")},
		Peers: []lbapi.Peer{
			{Name: "lb-0", Address: "192.0.2.2", Priority: 200},
			{Name: "lb-1", Address: "192.0.2.3", Priority: 190},
			{Name: "lb-2", Address: "192.0.2.4", Priority: 180},
		},
		Frontends: []lbapi.Frontend{{
			Name: "web", VIP: "192.0.2.10", Port: 80, Protocol: lbapi.TCP,
			Check: lbapi.Check{Kind: lbapi.CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1},
		}},
	}
	for _, f := range with {
		f(&p)
	}
	return p
}

func TestRenderedFiles(t *testing.T) {
	for name, tt := range map[string]struct {
		settings keepalived.Settings
		plan     lbapi.Plan
	}{
		"plan":    {settings, newPlan()},
		"nothing": {settings, lbapi.Plan{}},
		"many": {settings, newPlan(func(p *lbapi.Plan) {
			p.VIPs = append(p.VIPs, vip("192.0.2.9"), vip("192.0.2.11"))
		})},
		"alone": {keepalived.Settings{Own: own}, newPlan(func(p *lbapi.Plan) { p.Peers = p.Peers[:1] })},
		"ipv6": {settings, newPlan(func(p *lbapi.Plan) {
			p.VIPs = []lbapi.VIP{{Address: "2001:db8::10", Network: "2001:db8::/64", VRID: 5, Interface: "eth7"}}
			p.Peers = []lbapi.Peer{{Name: "lb-0", Address: "2001:db8::2", Priority: 200}, {Name: "lb-1", Address: "2001:db8::3", Priority: 190}}
			p.Frontends[0].VIP = "2001:db8::10"
		})},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := keepalived.Render(tt.settings, tt.plan)
			g.Expect(err).NotTo(HaveOccurred())
			file := "testdata/" + name + ".conf"
			if *update {
				g.Expect(os.WriteFile(file, got, 0o600)).To(Succeed())
			}
			want, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(got)).To(Equal(string(want)), "run 'go test -update' if it is meant to be so")
		})
	}
}

func TestKeepalivedFindsNoFaultWithWhatIsRendered(t *testing.T) {
	program, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skip("there is no keepalived here: hack/packages.sh lb installs it")
	}
	cards, err := net.Interfaces()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	card := slices.IndexFunc(cards, func(i net.Interface) bool { return i.Flags&(net.FlagLoopback|net.FlagMulticast) == net.FlagMulticast })
	if card < 0 {
		t.Skip("keepalived wants an interface that is not the loopback and can reach all, and there is none here")
	}
	here := keepalived.Settings{
		Own:   func(netip.Addr) (string, error) { return cards[card].Name, nil },
		Probe: []string{"/bin/true"},
	}
	for name, with := range map[string]func(*lbapi.Plan){
		"peers": func(*lbapi.Plan) {},
		"alone": func(p *lbapi.Plan) { p.Peers = p.Peers[:1] },
		"VIPs":  func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, vip("192.0.2.9"), vip("192.0.2.11")) },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			text, err := keepalived.Render(here, newPlan(with))
			g.Expect(err).NotTo(HaveOccurred())
			file := filepath.Join(t.TempDir(), "keepalived.conf")
			g.Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
			out, err := exec.CommandContext(t.Context(), program, "-t", "-f", file).CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred(), string(out))
		})
	}
}

// Peers are sent to each VM at different times. If two of them advertised different
// addresses meanwhile, neither would believe the other.
func TestTheAdvertisedAddressStaysWhenOthersComeAndGo(t *testing.T) {
	g := NewWithT(t)
	advertised := func(vips ...lbapi.VIP) string {
		text, err := keepalived.Render(settings, newPlan(func(p *lbapi.Plan) {
			p.VIPs = append(p.VIPs, vips...)
			p.Frontends[0].Check.Kind, p.Frontends[0].Check.Path = lbapi.CheckTLSReadyz, "/readyz"
			p.Frontends[0].Check.ServerName, p.Frontends[0].Check.CA = "kubernetes", lbapitest.CA()
		}))
		g.Expect(err).NotTo(HaveOccurred())
		_, block, _ := strings.Cut(string(text), "virtual_ipaddress {")
		block, _, _ = strings.Cut(block, "}")
		return strings.TrimSpace(block)
	}
	g.Expect(advertised()).To(Equal("192.0.2.10/32 dev eth0"))
	g.Expect(advertised(vip("192.0.2.5"), vip("192.0.2.200"))).To(Equal("192.0.2.10/32 dev eth0"))
}

func TestThePeersAreAlwaysWhole(t *testing.T) {
	g := NewWithT(t)
	p := newPlan(func(p *lbapi.Plan) { slices.Reverse(p.Peers) })
	text, err := keepalived.Render(settings, p)
	g.Expect(err).NotTo(HaveOccurred())
	again, err := keepalived.Render(settings, newPlan())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(Equal(again))
	_, block, _ := strings.Cut(string(text), "unicast_peer {")
	block, _, _ = strings.Cut(block, "}")
	g.Expect(strings.Fields(block)).To(Equal([]string{"192.0.2.3", "192.0.2.4"}))
}

func TestWhatCannotBeRendered(t *testing.T) {
	for name, tt := range map[string]struct {
		settings keepalived.Settings
		plan     lbapi.Plan
		want     string
	}{
		"a fault":            {settings, newPlan(func(p *lbapi.Plan) { p.VIPs[0].VRID = 0 }), "vips[0].vrid"},
		"no interface":       {settings, newPlan(func(p *lbapi.Plan) { p.Self = "lb-1" }), "no interface has 192.0.2.3"},
		"a hostile probe":    {keepalived.Settings{Own: own, Probe: []string{"/bin/x\"\n}"}}, newPlan(), "may not stand"},
		"a hostile card":     {keepalived.Settings{Own: func(netip.Addr) (string, error) { return "eth0 {", nil }}, newPlan(), "may not stand"},
		"a hostile peer":     {settings, newPlan(func(p *lbapi.Plan) { p.Peers[1].Address = "192.0.2.3\n}" }), "peers[1].address"},
		"a hostile own name": {settings, newPlan(func(p *lbapi.Plan) { p.Self, p.Peers[0].Name = "a\nb", "a\nb" }), "peers[0].name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keepalived.Render(tt.settings, tt.plan)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(tt.want)))
		})
	}
}

// knownLine is all that a file may say of a plan with one VIP.
var knownLine = regexp.MustCompile(`^(#.*|global_defs \{|vrrp_script fit \{|vrrp_instance [A-Za-z0-9._-]+ \{| *(\}|router_id [A-Za-z0-9._-]+|vrrp_version 3|script_user root|enable_script_security|vrrp_priority -20|vrrp_garp_master_(delay|repeat|refresh|refresh_repeat) \d+|vrrp_higher_prio_send_advert true|vrrp_skip_check_adv_addr|script "/usr/bin/capstan-lb probe /run/capstan-lb/haproxy.sock( [0-9a-f.:]+)*"|(interval|timeout|fall|rise) \d+|state BACKUP|nopreempt|interface [A-Za-z0-9._-]{1,15}|virtual_router_id \d+|priority \d+|advert_int 0.2|version 3|unicast_src_ip [0-9a-f.:]+|unicast_peer \{|virtual_ipaddress \{|track_script \{|fit|[0-9a-f.:]+(/(32|128) dev [A-Za-z0-9._-]{1,15})?))$`)

// FuzzRender puts any text into every place of a plan that reaches the file: either
// the plan is refused, or the file has the lines that it always has.
func FuzzRender(f *testing.F) {
	f.Add("lb-0", "eth1", "192.0.2.10", "192.0.2.0/24", "192.0.2.3")
	f.Add("a\nb", "eth0 {", "192.0.2.10/24", "0.0.0.0/0 }", "192.0.2.3 }")
	f.Add("a!b", "\"e\"", "::1%eth0", "x", "#")
	ordinary, err := keepalived.Render(settings, newPlan())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, self, iface, address, network, peer string) {
		plan := newPlan(func(p *lbapi.Plan) {
			p.Self, p.Peers[0].Name, p.Peers[1].Address = self, self, peer
			p.VIPs[0] = lbapi.VIP{Address: address, Network: network, Interface: iface, VRID: 51}
			p.Frontends[0].VIP = address
		})
		text, err := keepalived.Render(settings, plan)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Fatalf("the refusal is not on one line: %q", err.Error())
			}
			return
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
			if !knownLine.MatchString(line) {
				t.Fatalf("a line that nobody wrote: %q", line)
			}
		}
		if got, want := strings.Count(string(text), "\n"), strings.Count(string(ordinary), "\n"); got != want {
			t.Fatalf("%d lines, want %d", got, want)
		}
	})
}
