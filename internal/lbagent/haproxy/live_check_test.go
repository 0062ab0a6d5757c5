package haproxy_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

func (l *lab) newAPIServer(host int, name string) *lbapitest.APIServer {
	l.t.Helper()
	backend := lbapi.Backend{Name: fmt.Sprintf("cp-%d", host), Address: l.address(host)}
	backend.Port = l.freePort(backend.Address)
	return lbapitest.NewAPIServer(l.t, backend, name, time.Now())
}

const serverName = "kubernetes.default.svc"

func (l *lab) apiPlan(ca string, backends ...lbapi.Backend) lbapi.Plan {
	plan := l.plan(backends...)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckTLSReadyz, Path: "/readyz", ServerName: serverName, CA: ca,
		Interval: 200 * time.Millisecond, Timeout: 2 * time.Second, Rise: 1, Fall: 1,
	}
	return plan
}

func TestAPIServersAreCheckedByReadyz(t *testing.T) {
	l := newLab(t)
	api := l.newAPIServer(10, serverName)
	l.apply(l.apiPlan(api.CA, api.Backend))
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthDown))
	stats, err := l.haproxy.Stat(t.Context())
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(stats).To(HaveLen(1))
	for _, s := range stats {
		l.Expect(s.Message).To(ContainSubstring("Layer7"))
	}
	api.Ready.Store(true)
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthUp))
}

func TestAnImpostorIsNoAPIServer(t *testing.T) {
	l := newLab(t)
	named, signed := l.newAPIServer(10, "impostor.example"), l.newAPIServer(11, serverName)
	named.Ready.Store(true)
	signed.Ready.Store(true)
	for _, b := range []lbapi.Backend{named.Backend, signed.Backend} {
		l.apply(l.apiPlan(named.CA, b))
		l.eventually(l.health).Should(HaveKeyWithValue(b.Name, lbapi.HealthDown))
	}
}

// An API server that accepts connections and is not ready would fail whoever is
// sent to it.
func TestANewAPIServerGetsNothingBeforeItIsReady(t *testing.T) {
	l := newLab(t)
	first, second := l.newAPIServer(10, serverName), l.newAPIServer(11, serverName)
	for how, before := range map[string][]lbapi.Backend{"by the runtime API": {first.Backend}, "by a reload": nil} {
		plan := l.apiPlan(first.CA+second.CA, before...)
		if before == nil {
			plan.Frontends = nil
		}
		l.apply(plan)
		l.apply(l.apiPlan(first.CA+second.CA, first.Backend, second.Backend))
		l.Expect(l.health()).To(HaveKeyWithValue(second.Name, Not(Equal(lbapi.HealthUp))), how)
		l.Expect(l.ask(l.vipPort)).To(BeEmpty(), how)
		l.eventually(l.health).Should(HaveKeyWithValue(second.Name, lbapi.HealthDown), how)
	}
}

// An HAProxy that starts trusts servers that it has never asked, unless it is told better.
func TestAnHAProxyThatStartsLeadsNobodyToAnAPIServerBeforeItIsReady(t *testing.T) {
	t.Parallel()
	for how, more := range map[string]bool{"after a reload": false, "after a change by the runtime API": true} {
		t.Run(how, func(t *testing.T) {
			l := newLab(t)
			api, other := l.newAPIServer(10, serverName), l.newServer(11)
			plan := l.apiPlan(api.CA, api.Backend)
			tcp := l.plan(other.Backend).Frontends[0]
			tcp.Name, tcp.Port = "second", l.freePort(l.address(100))
			plan.Frontends = append(plan.Frontends, tcp)
			l.apply(plan)
			if more {
				plan = plan.Clone()
				plan.Frontends[1].Backends[0].Drain = true
				plan.Frontends[1].Backends = append(plan.Frontends[1].Backends, l.newServer(12).Backend)
				l.apply(plan)
			}
			l.kill()
			// Its first check is not over for as long as a connection may take.
			api.Hang()
			l.start()
			l.eventually(func() string { return l.ask(tcp.Port) }).ShouldNot(BeEmpty(), "those that are not doubted are not waited for")
			l.Expect(l.handshake()).To(And(HaveOccurred(), Not(MatchError(os.ErrDeadlineExceeded)), Not(MatchError(context.DeadlineExceeded))), "it is told, and not led there")
			api.Ready.Store(true)
			api.Serve()
			l.eventually(l.handshake).Should(Succeed())
		})
	}
}

// TestTheFirstAPIServerIsAdded has a backend without servers, so that HAProxy has
// never read its authorities.
func TestTheFirstAPIServerIsAdded(t *testing.T) {
	l := newLab(t)
	api := l.newAPIServer(10, serverName)
	api.Ready.Store(true)
	l.apply(l.apiPlan(api.CA))
	l.apply(l.apiPlan(api.CA, api.Backend))
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthUp))
}

func TestAuthoritiesGoWithTheirChecks(t *testing.T) {
	l := newLab(t)
	old, api := l.newAPIServer(10, serverName), l.newAPIServer(11, serverName)
	l.apply(l.apiPlan(old.CA, old.Backend))
	l.apply(l.apiPlan(api.CA, api.Backend))
	files, err := os.ReadDir(l.path("ca"))
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(files).To(HaveLen(1))
	l.Expect(os.ReadFile(l.path("ca/" + files[0].Name()))).To(BeEquivalentTo(api.CA))
}

func TestNodesOfALocalServiceAreCheckedOnTheirHealthPort(t *testing.T) {
	l := newLab(t)
	s := l.newServer(10)
	var local atomic.Bool
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	lbapitest.Serve(t, listener, "/healthz", &local)
	plan := l.plan(s.Backend)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckHTTP, Path: "/healthz", Port: int32(listener.Addr().(*net.TCPAddr).Port),
		Interval: 200 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1,
	}
	l.apply(plan)
	l.eventually(l.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
	l.Expect(l.ask(l.vipPort)).To(BeEmpty())
	local.Store(true)
	l.eventually(func() string { return l.ask(l.vipPort) }).Should(Equal(s.Name))

	// The one that a state file would have HAProxy go on asking.
	var other atomic.Bool
	listener, err = net.Listen("tcp", net.JoinHostPort(s.Address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	lbapitest.Serve(t, listener, "/healthz", &other)
	plan.Frontends[0].Check.Port = int32(listener.Addr().(*net.TCPAddr).Port)
	l.apply(plan)
	l.eventually(l.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
}

// A node port that changes says nothing of the node's health, which is asked for at a
// port of its own. The interval is so long that nobody could find out anew.
func TestANodeStaysWellWhenItsNodePortChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*lbapi.Plan){
		"by the runtime API": func(*lbapi.Plan) {},
		"by a reload":        func(p *lbapi.Plan) { p.Frontends[0].AllowedSources = []string{"127.0.0.0/8"} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			before, after := l.newServer(10), l.newServer(10)
			var local atomic.Bool
			local.Store(true)
			listener, err := net.Listen("tcp", net.JoinHostPort(before.Address, "0"))
			l.Expect(err).NotTo(HaveOccurred())
			lbapitest.Serve(t, listener, "/healthz", &local)
			plan := l.plan(before.Backend)
			plan.Frontends[0].Check = lbapi.Check{
				Kind: lbapi.CheckHTTP, Path: "/healthz", Port: int32(listener.Addr().(*net.TCPAddr).Port),
				Interval: time.Minute, Timeout: time.Second, Rise: 1, Fall: 1,
			}
			l.apply(plan)
			l.eventually(l.health).Should(HaveKeyWithValue(before.Name, lbapi.HealthUp))
			plan = plan.Clone()
			plan.Frontends[0].Backends[0].Port = after.Port
			change(&plan)
			l.apply(plan)
			before.Close()
			l.Expect(l.askTwenty()).To(Equal(map[string]int{after.Name: 20}))
		})
	}
}
