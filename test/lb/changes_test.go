package lb

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// underLoad is a world whose VIP is asked all the time.
type underLoad struct {
	*world
	asking *traffic.Remote
	plan   lbapi.Plan
}

func startUnderLoad(t *testing.T) *underLoad {
	t.Helper()
	w := start(t, 2)
	asking, err := w.Load(w.ctx, *rate, streams)
	w.Expect(err).NotTo(HaveOccurred())
	u := &underLoad{world: w, asking: asking, plan: w.Plan()}
	u.answersFrom(w.WithT, "s0", "s1")
	w.Eventually(func(g Gomega) { g.Expect(u.report(g).Echoes).To(BeNumerically(">", streams)) }).Should(Succeed())
	return u
}

func (u *underLoad) report(g Gomega) traffic.Report {
	report, err := u.asking.Report()
	g.Expect(err).NotTo(HaveOccurred())
	return report
}

// answersFrom waits until these servers answer, and no other.
func (u *underLoad) answersFrom(g *WithT, names ...string) {
	u.t.Helper()
	before := u.report(g)
	g.Eventually(func(g Gomega) {
		now, by := u.report(g), []string{}
		for name, n := range now.By {
			if n > before.By[name] {
				by = append(by, name)
			}
		}
		g.Expect(now.Answered-before.Answered).To(BeNumerically(">", 40), "too few to tell")
		before = now
		g.Expect(by).To(ConsistOf(names))
	}).WithTimeout(patience).WithPolling(often).Should(Succeed())
}

// unharmed waits for what was asked until now to be answered or not, and wants
// nothing to have been lost since before.
func (u *underLoad) unharmed(g *WithT, before traffic.Report) {
	u.t.Helper()
	asked := u.report(g).Asked
	g.Eventually(func(g Gomega) {
		r := u.report(g)
		g.Expect(r.Answered + r.Failed).To(BeNumerically(">=", asked+20))
	}).WithTimeout(patience).WithPolling(often).Should(Succeed())
	r := u.report(g)
	// A machine that cannot carry the load fails requests without any change.
	g.Expect(r.Failed).To(Equal(before.Failed), "%v; %d of %d were never sent for want of a processor", r.Errors, r.Late, r.Asked+r.Late)
	g.Expect(r.Broken).To(Equal(before.Broken), "%v", r.Errors)
}

func TestAPlannedChangeLosesNothing(t *testing.T) {
	u := startUnderLoad(t)
	api := func(p *lbapi.Plan) *lbapi.Frontend { return &p.Frontends[0] }
	extra := netip.MustParseAddr("10.77.2.1")
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(lblab.VIP, port) }
	answers := func(g *WithT, target netip.AddrPort) {
		g.Eventually(func() error { _, err := u.Try(u.ctx, target); return err }).WithTimeout(patience).Should(Succeed())
	}
	refuses := func(g *WithT, target netip.AddrPort) {
		g.Eventually(func() error { _, err := u.Try(u.ctx, target); return err }).WithTimeout(patience).Should(MatchError(ContainSubstring("refused")))
	}

	for _, change := range []struct {
		name   string
		change func(*lbapi.Plan)
		then   func(*WithT)
	}{
		{
			"a server is added",
			func(p *lbapi.Plan) { api(p).Backends = append(api(p).Backends, lblab.Server(2)) },
			func(g *WithT) { u.answersFrom(g, "s0", "s1", "s2") },
		},
		{
			"a server's address changes",
			func(p *lbapi.Plan) { api(p).Backends[2].Address = lblab.Server(3).Address },
			func(g *WithT) { u.answersFrom(g, "s0", "s1", "s3") },
		},
		{
			"a server is drained",
			func(p *lbapi.Plan) { api(p).Backends[1].Drain = true },
			func(g *WithT) { u.answersFrom(g, "s0", "s3") },
		},
		{
			"a drained server comes back",
			func(p *lbapi.Plan) { api(p).Backends[1].Drain = false },
			func(g *WithT) { u.answersFrom(g, "s0", "s1", "s3") },
		},
		{
			"a server without streams is removed",
			func(p *lbapi.Plan) { api(p).Backends = api(p).Backends[:2] },
			func(g *WithT) { u.answersFrom(g, "s0", "s1") },
		},
		{
			"a frontend is added",
			func(p *lbapi.Plan) { p.Frontends = append(p.Frontends, lblab.Frontend("second", 80)) },
			func(g *WithT) { answers(g, at(80)) },
		},
		{
			"a server that is dead is added",
			func(p *lbapi.Plan) { api(p).Backends = append(api(p).Backends, lblab.Dead()) },
			func(g *WithT) { u.isDown(g, "api", "dead") },
		},
		{
			"a frontend changes beside a dead server",
			func(p *lbapi.Plan) { p.Frontends[1].Port = 81 },
			func(g *WithT) { answers(g, at(81)); refuses(g, at(80)) },
		},
		{
			"a frontend's check changes beside a dead server",
			func(p *lbapi.Plan) { api(p).Check.Fall = 3 },
			func(g *WithT) { u.isDown(g, "api", "dead") },
		},
		{
			"a dead server is removed",
			func(p *lbapi.Plan) { api(p).Backends = api(p).Backends[:2] },
			func(g *WithT) { u.answersFrom(g, "s0", "s1") },
		},
		{
			"sources are refused",
			func(p *lbapi.Plan) { p.Frontends[1].AllowedSources = []string{"192.0.2.0/24"} },
			func(g *WithT) {
				g.Eventually(func() error { _, err := u.Try(u.ctx, at(81)); return err }).WithTimeout(patience).ShouldNot(Succeed())
			},
		},
		{
			"a frontend is removed",
			func(p *lbapi.Plan) { p.Frontends = p.Frontends[:1] },
			func(g *WithT) { refuses(g, at(81)) },
		},
		{
			"a VIP is added with a frontend",
			func(p *lbapi.Plan) {
				f := lblab.Frontend("third", 80)
				f.VIP = extra.String()
				p.VIPs, p.Frontends = append(p.VIPs, lblab.NewVIP(extra)), append(p.Frontends, f)
			},
			func(g *WithT) { answers(g, netip.AddrPortFrom(extra, 80)) },
		},
		{
			"a VIP is removed",
			func(p *lbapi.Plan) { p.VIPs, p.Frontends = p.VIPs[:1], p.Frontends[:1] },
			func(g *WithT) { g.Eventually(u.Holders).WithArguments(extra).WithTimeout(patience).Should(BeEmpty()) },
		},
		{
			"a peer is added",
			func(p *lbapi.Plan) {
				p.Peers = append(p.Peers, lbapi.Peer{Name: "lb-z", Address: "10.77.0.19", Priority: 50})
			},
			func(g *WithT) { g.Expect(u.Settle(u.ctx)).To(Succeed()) },
		},
		{
			"a peer is removed",
			func(p *lbapi.Plan) { p.Peers = p.Peers[:2] },
			func(g *WithT) { g.Expect(u.Settle(u.ctx)).To(Succeed()) },
		},
	} {
		t.Run(change.name, func(t *testing.T) {
			g := NewWithT(t)
			holder, _, err := u.Holder(u.ctx, lblab.VIP)
			g.Expect(err).NotTo(HaveOccurred())
			u.plan = u.plan.Clone()
			change.change(&u.plan)
			before := u.report(g)
			g.Expect(u.Apply(u.ctx, u.plan)).To(Succeed())
			change.then(g)
			u.unharmed(g, before)
			g.Expect(u.Holders(lblab.VIP)).To(ConsistOf(holder), "no planned change moves the VIP")
		})
	}

	report, err := u.asking.Stop()
	u.Expect(err).NotTo(HaveOccurred())
	u.t.Logf("%d requests, %s at half, %s at 99%%, %s at most, %d never sent; %d lines through %d streams", report.Asked, report.P50, report.P99, report.Max, report.Late, report.Echoes, report.Streams)
	u.Expect(report.Failed).To(BeZero(), "%v", report.Errors)
	u.Expect(report.Broken).To(BeZero(), "%v", report.Errors)
}

// A load balancer may have one VM: it holds the VIP, and loses nothing when there are
// two, nor when there is one again.
func TestAVMThatIsAloneIsJoinedAndLeftUnnoticed(t *testing.T) {
	w := newWorld(t, 2)
	both, first := w.Plan(), w.VMs[0]
	alone := both.Clone()
	alone.Peers = alone.Peers[:1]
	w.Expect(w.Apply(w.ctx, alone, first)).To(Succeed())
	w.Eventually(w.Holders).WithArguments(lblab.VIP).Should(ConsistOf(first))
	asking, err := w.Load(w.ctx, *rate, streams)
	w.Expect(err).NotTo(HaveOccurred())
	u := &underLoad{world: w, asking: asking, plan: both}
	u.answersFrom(w.WithT, "s0", "s1")
	for _, step := range []func() error{
		// A manager tells whoever may hold the VIP first.
		func() error { return w.Apply(w.ctx, both, first) },
		func() error { return w.Apply(w.ctx, both, w.VMs[1]) },
		func() error { return w.VMs[1].PowerOff() },
		func() error { return w.Apply(w.ctx, alone, first) },
	} {
		w.Expect(step()).To(Succeed())
		w.Consistently(w.Holders).WithArguments(lblab.VIP).WithTimeout(time.Second).WithPolling(often).Should(ConsistOf(first))
		u.unharmed(w.WithT, traffic.Report{})
	}
}

// isDown waits until both VMs know that a backend does not answer.
func (u *underLoad) isDown(g *WithT, frontend, backend string) {
	u.t.Helper()
	for _, vm := range u.VMs {
		_, err := vm.Await(u.ctx, func(s lbapi.Status) bool {
			for _, b := range s.Backends {
				if b.Frontend == frontend && b.Backend == backend {
					return b.Health == lbapi.HealthDown
				}
			}
			return false
		})
		g.Expect(err).NotTo(HaveOccurred(), "%s on %s", backend, vm.Name)
	}
}

// The load must notice what is not planned, or it would prove nothing above.
func TestTheLoadNoticesARestart(t *testing.T) {
	u := startUnderLoad(t)
	holder, _, err := u.Holder(u.ctx, lblab.VIP)
	u.Expect(err).NotTo(HaveOccurred())
	u.Expect(holder.Kill("haproxy")).To(Succeed())
	u.Eventually(func(g Gomega) {
		r := u.report(g)
		g.Expect(r.Failed).To(BeNumerically(">", 0))
		g.Expect(r.Broken).To(BeNumerically(">=", streams))
	}).WithPolling(often).Should(Succeed())
}
