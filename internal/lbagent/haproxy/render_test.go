package haproxy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

var settings = haproxy.Settings{
	Socket: "/run/capstan-lb/haproxy.sock", StateFile: "/var/lib/capstan-lb/haproxy.state", CADir: "/var/lib/capstan-lb/ca",
	User: "haproxy", MaxConnections: 20000, HardStopAfter: time.Hour, MaxReloads: 50,
}

func newPlan(with ...func(*lbapi.Plan)) lbapi.Plan {
	check := lbapi.Check{Kind: lbapi.CheckTCP, Interval: time.Second, Timeout: 2 * time.Second, Rise: 1, Fall: 3}
	local := check
	local.Kind, local.Path, local.Port = lbapi.CheckHTTP, "/healthz", 31000
	ready := check
	ready.Kind, ready.Path, ready.ServerName, ready.CA = lbapi.CheckTLSReadyz, "/readyz", "kubernetes.default.svc", lbapitest.CA()
	p := lbapi.Plan{
		Generation: 7, Cluster: "default/shop", Self: "shop-lb-0",
		VIPs: []lbapi.VIP{
			{Address: "192.0.2.10", Network: "192.0.2.0/24", VRID: 51},
			{Address: "192.0.2.11", Network: "192.0.2.0/24", VRID: 51},
		},
		Peers: []lbapi.Peer{{Name: "shop-lb-0", Address: "192.0.2.2", Priority: 150}, {Name: "shop-lb-1", Address: "192.0.2.3", Priority: 149}},
		Frontends: []lbapi.Frontend{
			{
				Name: "kube-apiserver", VIP: "192.0.2.10", Port: 6443, Protocol: lbapi.TCP, AllowedSources: []string{"10.0.0.0/8", "2001:db8::/32"},
				Backends: []lbapi.Backend{{Name: "cp-0", Address: "192.0.2.4", Port: 6443}, {Name: "cp-1", Address: "192.0.2.5", Port: 6443, Drain: true}},
				Check:    ready,
			},
			{
				Name: "shop.web.http", VIP: "192.0.2.11", Port: 80, Protocol: lbapi.TCP,
				Backends: []lbapi.Backend{{Name: "node-0", Address: "192.0.2.20", Port: 30080}}, Check: check,
			},
			{
				Name: "shop.web.https", VIP: "192.0.2.11", Port: 443, Protocol: lbapi.TCP,
				Backends: []lbapi.Backend{{Name: "node-0", Address: "192.0.2.20", Port: 30443}}, Check: local,
			},
			{Name: "empty", VIP: "192.0.2.11", Port: 8080, Protocol: lbapi.TCP, Check: check},
		},
	}
	for _, f := range with {
		f(&p)
	}
	return p
}

func TestRenderedFiles(t *testing.T) {
	six := newPlan(func(p *lbapi.Plan) {
		p.VIPs = []lbapi.VIP{{Address: "2001:db8::10", Network: "2001:db8::/64", VRID: 51}}
		p.Peers = []lbapi.Peer{{Name: "shop-lb-0", Address: "2001:db8::2", Priority: 150}}
		p.Frontends = p.Frontends[1:2]
		p.Frontends[0].VIP, p.Frontends[0].Backends[0].Address = "2001:db8::10", "2001:db8::20"
	})
	for name, plan := range map[string]lbapi.Plan{"plan": newPlan(), "ipv6": six, "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := haproxy.Render(settings, plan)
			g.Expect(err).NotTo(HaveOccurred())
			file := "testdata/" + name + ".cfg"
			// The authority is new in each run, and so are its file's name and the shape.
			got := strings.NewReplacer(r.Shape, "SHAPE", digest(lbapitest.CA()), "AUTHORITY").Replace(string(r.Config))
			if *update {
				g.Expect(os.WriteFile(file, []byte(got), 0o600)).To(Succeed())
			}
			want, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(string(want)), "run 'go test -update' if it is meant to be so")
		})
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func TestTheSamePlanIsTheSameFile(t *testing.T) {
	g := NewWithT(t)
	first, err := haproxy.Render(settings, newPlan())
	g.Expect(err).NotTo(HaveOccurred())
	for range 10 {
		again, err := haproxy.Render(settings, newPlan(func(p *lbapi.Plan) {
			p.Generation++
			slices.Reverse(p.Frontends)
			slices.Reverse(p.Frontends[3].Backends)
		}))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(Equal(first))
	}
}

func TestServersAloneDoNotChangeTheShape(t *testing.T) {
	shape := func(with func(*lbapi.Plan)) string {
		r, err := haproxy.Render(settings, newPlan(with))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		return r.Shape
	}
	same := shape(func(*lbapi.Plan) {})
	for name, tt := range map[string]struct {
		with func(*lbapi.Plan)
		same bool
	}{
		"a server less":      {func(p *lbapi.Plan) { p.Frontends[0].Backends = p.Frontends[0].Backends[:1] }, true},
		"no server":          {func(p *lbapi.Plan) { p.Frontends[0].Backends = nil }, true},
		"a server's address": {func(p *lbapi.Plan) { p.Frontends[0].Backends[0].Address = "192.0.2.9" }, true},
		"a server drains":    {func(p *lbapi.Plan) { p.Frontends[0].Backends[0].Drain = true }, true},
		"peers":              {func(p *lbapi.Plan) { p.Peers = p.Peers[:1] }, true},
		"a VIP without a port": {func(p *lbapi.Plan) {
			p.VIPs = append(p.VIPs, lbapi.VIP{Address: "192.0.2.12", Network: "192.0.2.0/24", VRID: 51})
		}, true},
		"a frontend less":       {func(p *lbapi.Plan) { p.Frontends = p.Frontends[1:] }, false},
		"a frontend's port":     {func(p *lbapi.Plan) { p.Frontends[0].Port++ }, false},
		"allowed sources":       {func(p *lbapi.Plan) { p.Frontends[0].AllowedSources = nil }, false},
		"how servers are asked": {func(p *lbapi.Plan) { p.Frontends[1].Check.Fall++ }, false},
		"how none are asked":    {func(p *lbapi.Plan) { p.Frontends[3].Check.Fall++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := Equal(same)
			if !tt.same {
				want = Not(want)
			}
			NewWithT(t).Expect(shape(tt.with)).To(want)
		})
	}
}

func TestAPlanWithAFaultIsNotRendered(t *testing.T) {
	_, err := haproxy.Render(settings, newPlan(func(p *lbapi.Plan) {
		p.Frontends[0].Name = "a\n  bind *:22"
		p.Frontends[1].Port = 0
	}))
	NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring("frontends[0].name"), ContainSubstring("frontends[1].port"))))
}

func TestSettingsAreNotTrustedEither(t *testing.T) {
	for _, path := range []string{"/run/a b", "/run/a\nb", `/run/"a"`, "/run/$HOME", "/run/a#b", ""} {
		hostile := settings
		hostile.Socket = path
		_, err := haproxy.Render(hostile, newPlan())
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("may not stand")), path)
	}
}

// The lines that may stand in a file, with what a plan may bring to them.
var (
	fixedLine  = regexp.MustCompile(`^(#.*|global|defaults|    (description [0-9a-f]{32}|log (global|stdout format raw daemon notice)|user haproxy|maxconn \d+|httpclient.ssl.verify none|stats (socket \S+ mode 600 level admin|timeout 1m)|server-state-file \S+|hard-stop-after \d+ms|mworker-max-reloads \d+|max-spread-checks 100|ssl-default-server-options ssl-min-ver TLSv1.2|mode tcp|load-server-state-from-file global|balance roundrobin|timeout [a-z-]+ \d+(s|h|ms)|option (clitcpka|srvtcpka|dontlognull|tcplog|log-separate-errors|redispatch 1|httpchk)|(cli|srv)tcpka-(idle|intvl|cnt) \d+s?|retries 3|http-check expect status 200|tcp-request connection (reject unless allowed|track-sc0 always_true table st:shared|reject if crowded)|acl crowded sc0_conn_cur gt \d+|stick-table type integer size 1 store conn_cur)|backend st:shared|)$`)
	frontLine  = regexp.MustCompile(`^frontend fe:([A-Za-z0-9._-]+)$`)
	bindLine   = regexp.MustCompile(`^    bind ipv[46]@([0-9a-f.:\[\]]+)$`)
	sourceLine = regexp.MustCompile(`^    acl allowed src ([0-9a-f.:/]+)$`)
	toLine     = regexp.MustCompile(`^    default_backend be:([A-Za-z0-9._-]+)$`)
	backLine   = regexp.MustCompile(`^backend be:([A-Za-z0-9._-]+)$`)
	askLine    = regexp.MustCompile(`^    http-check send meth GET uri (/[A-Za-z0-9._/-]*) ver HTTP/1.1 hdr Host ([A-Za-z0-9._-]+)$`)
	serverLine = regexp.MustCompile(`^    server s:([A-Za-z0-9._-]+):[0-9a-f.:]+ ipv[46]@([0-9a-f.:\[\]]+) weight ([01]) check inter \d+ms rise \d+ fall \d+(?: port (\d+)| fastinter 250ms observe layer4 error-limit 1 on-error sudden-death check-ssl check-sni [A-Za-z0-9._-]+ verify required verifyhost [A-Za-z0-9._-]+ ca-file [A-Za-z0-9./-]+)?$`)
)

// readBack reads a rendered file as somebody who knows nothing of the plan, and
// returns the frontends that it says.
func readBack(t *testing.T, config string) map[string]*lbapi.Frontend {
	t.Helper()
	frontends := map[string]*lbapi.Frontend{}
	var f *lbapi.Frontend
	endpoint := func(text string) (string, int32) {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			t.Fatalf("endpoint %q: %v", text, err)
		}
		return a.Addr().String(), int32(a.Port())
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(config, "\n"), "\n") {
		if m := frontLine.FindStringSubmatch(line); m != nil {
			f = &lbapi.Frontend{Name: m[1]}
			frontends[f.Name] = f
		} else if m := backLine.FindStringSubmatch(line); m != nil {
			if f = frontends[m[1]]; f == nil {
				t.Fatalf("backend of no frontend: %q", line)
			}
		} else if m := bindLine.FindStringSubmatch(line); m != nil {
			f.VIP, f.Port = endpoint(m[1])
		} else if m := sourceLine.FindStringSubmatch(line); m != nil {
			f.AllowedSources = append(f.AllowedSources, m[1])
		} else if m := toLine.FindStringSubmatch(line); m != nil {
			if m[1] != f.Name {
				t.Fatalf("frontend %s leads elsewhere: %q", f.Name, line)
			}
		} else if m := askLine.FindStringSubmatch(line); m != nil {
			f.Check.Path = m[1]
		} else if m := serverLine.FindStringSubmatch(line); m != nil {
			b := lbapi.Backend{Name: m[1], Drain: m[3] == "0"}
			b.Address, b.Port = endpoint(m[2])
			f.Backends = append(f.Backends, b)
		} else if !fixedLine.MatchString(line) {
			t.Fatalf("a line that nobody wrote: %q", line)
		}
	}
	return frontends
}

// FuzzRender puts any text into every place of a plan that text can come to:
// either the plan is refused, or what is rendered says the plan and nothing else.
func FuzzRender(f *testing.F) {
	f.Add("kube-apiserver", "cp-0", "192.0.2.4", "10.0.0.0/8", "/readyz", "kubernetes", "192.0.2.10", int32(6443), uint8(0))
	f.Add("a\nfrontend evil", "s check", "1.2.3.4:80 backup", "0.0.0.0/0 }", "/a\r\nHost: b", "x verify none", "*", int32(0), uint8(1))
	f.Add(`a"b`, "a'b", "unix@/run/x", "${HOME}", "/%[path]", "a#b", "abns@x", int32(-1), uint8(2))
	f.Add("a\\\nb", "default_backend", "::1%\n", "::/0", "/`id`", "a;b", "fd@3", int32(65536), uint8(2))
	kinds := []lbapi.CheckKind{lbapi.CheckTCP, lbapi.CheckTLSReadyz, lbapi.CheckHTTP}
	f.Fuzz(func(t *testing.T, frontend, backend, address, source, path, server, vip string, port int32, kind uint8) {
		plan := newPlan(func(p *lbapi.Plan) {
			fr := &p.Frontends[0]
			fr.Name, fr.AllowedSources, fr.Port = frontend, []string{source}, port
			fr.Backends[0].Name, fr.Backends[0].Address, fr.Backends[0].Port = backend, address, port
			fr.Check.Path, fr.Check.ServerName, fr.Check.Kind = path, server, kinds[int(kind)%len(kinds)]
			switch fr.Check.Kind {
			case lbapi.CheckTCP:
				fr.Check.Path, fr.Check.ServerName, fr.Check.CA = "", "", ""
			case lbapi.CheckHTTP:
				fr.Check.ServerName, fr.Check.CA, fr.Check.Port = "", "", port
			case lbapi.CheckTLSReadyz:
			}
			if kind > 127 {
				p.VIPs[0].Address, fr.VIP = vip, vip
			}
		})
		r, err := haproxy.Render(settings, plan)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Fatalf("the refusal is not on one line: %q", err.Error())
			}
			return
		}
		if len(r.CAs) > 1 {
			t.Fatalf("authorities of %d checks", len(r.CAs))
		}
		compare(t, readBack(t, string(r.Config)), plan)
	})
}

func compare(t *testing.T, got map[string]*lbapi.Frontend, plan lbapi.Plan) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(got).To(HaveLen(len(plan.Frontends)))
	for _, want := range lbapi.Canonical(plan).Frontends {
		f := got[want.Name]
		g.Expect(f).NotTo(BeNil(), want.Name)
		g.Expect(f.VIP+" "+strconv.Itoa(int(f.Port))).To(Equal(want.VIP+" "+strconv.Itoa(int(want.Port))), want.Name)
		g.Expect(f.AllowedSources).To(Equal(want.AllowedSources), want.Name)
		g.Expect(f.Backends).To(Equal(want.Backends), want.Name)
		g.Expect(f.Check.Path).To(Equal(want.Check.Path), want.Name)
	}
}

func TestWhatIsRenderedIsThePlan(t *testing.T) {
	r, err := haproxy.Render(settings, newPlan())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	compare(t, readBack(t, string(r.Config)), newPlan())
	for i, s := range r.Servers {
		NewWithT(t).Expect(string(r.Config)).To(ContainSubstring(fmt.Sprintf("server %s ", s.Name)), "%d", i)
	}
}
