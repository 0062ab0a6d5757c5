package haproxy_test

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestAnAddressThatIsTakenLeavesWhatWas(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	held := l.holdOn(a)
	before, err := os.ReadFile(l.path("haproxy.cfg"))
	l.Expect(err).NotTo(HaveOccurred())

	squatter, err := net.Listen("tcp", net.JoinHostPort(l.address(100), "0"))
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = squatter.Close() })
	plan := l.plan(a.Backend)
	second := plan.Frontends[0]
	second.Name, second.Port = "second", int32(squatter.Addr().(*net.TCPAddr).Port)
	plan.Frontends = append(plan.Frontends, second)
	l.Expect(l.tryApply(plan)).To(MatchError(ContainSubstring("is an address taken?")))
	l.Expect(os.ReadFile(l.path("haproxy.cfg"))).To(Equal(before))
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(l.askTwenty()).To(Equal(map[string]int{a.Name: 20}))

	l.apply(l.plan(a.Backend))
	l.Expect(squatter.Close()).To(Succeed())
	l.apply(plan)
	l.Expect(l.ask(second.Port)).To(Equal(a.Name))
	l.Expect(held.Echo()).To(Succeed())
}

// HAProxy prefers what the state file says of servers to its configuration.
func TestAPlanThatFailedSaysNothingToAnHAProxyThatStarts(t *testing.T) {
	l := newLab(t)
	api, node := l.newAPIServer(10, serverName), l.newServer(11)
	api.Ready.Store(true)
	plan := l.apiPlan(api.CA, api.Backend)
	second := l.plan(node.Backend).Frontends[0]
	second.Name, second.Port = "second", l.freePort(l.address(100))
	plan.Frontends = append(plan.Frontends, second)
	l.apply(plan)
	l.eventually(l.health).Should(And(HaveKeyWithValue(api.Name, lbapi.HealthUp), HaveKeyWithValue(node.Name, lbapi.HealthUp)))
	state, err := os.ReadFile(l.path("haproxy.state"))
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(state).To(ContainSubstring(api.Name), "an API server is doubted")

	squatter, err := net.Listen("tcp", net.JoinHostPort(l.address(100), "0"))
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = squatter.Close() })
	next := plan.Clone()
	next.Frontends[0].Backends[0].Drain = true
	next.Frontends[1].Backends[0].Drain = true
	third := next.Frontends[1]
	third.Name, third.Port = "third", int32(squatter.Addr().(*net.TCPAddr).Port)
	next.Frontends = append(next.Frontends, third)
	l.Expect(l.tryApply(next)).To(MatchError(ContainSubstring("is an address taken?")))
	l.Expect(os.ReadFile(l.path("haproxy.state"))).To(Equal(state))

	l.kill()
	l.start()
	l.eventually(func() string { return l.ask(second.Port) }).Should(Equal(node.Name), "it is not drained")
	l.eventually(l.handshake).Should(Succeed())
}

func TestAConfigurationThatHAProxyRefusesChangesNothing(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	worker := l.worker()
	before, err := os.ReadFile(l.path("haproxy.cfg"))
	l.Expect(err).NotTo(HaveOccurred())
	plan := l.plan(a.Backend)
	plan.Frontends[0].AllowedSources = []string{"192.0.2.0/24"}
	_, err = l.refusing().Prepare(t.Context(), plan)
	l.Expect(err).To(MatchError(And(ContainSubstring("refuses the configuration"), ContainSubstring("'evil'"), Not(ContainSubstring("\n")))))
	l.Expect(os.ReadFile(l.path("haproxy.cfg"))).To(Equal(before))
	l.Expect(l.worker()).To(Equal(worker))
	entries, err := os.ReadDir(l.dir)
	l.Expect(err).NotTo(HaveOccurred())
	for _, e := range entries {
		l.Expect(e.Name()).NotTo(ContainSubstring(".next"))
	}
}

// TestNoConnectionFailsWhilePlansChange has clients connect all the time while
// servers and frontends come, go and are drained.
func TestNoConnectionFailsWhilePlansChange(t *testing.T) {
	l := newLab(t)
	a, b, dead := l.newServer(10), l.newServer(11), l.newServer(12)
	dead.Close()
	steady := l.plan(a.Backend, b.Backend, dead.Backend)
	l.apply(steady)
	l.eventually(l.health).Should(HaveKeyWithValue(dead.Name, lbapi.HealthDown))
	held := l.holdOn(b)

	var connections atomic.Int64
	stop, failed := make(chan struct{}), make(chan error, 2)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				c, err := l.connect(l.vipPort)
				if err == nil {
					err = c.Echo()
					c.Close()
				}
				if err != nil {
					failed <- err
					return
				}
				connections.Add(1)
			}
		}()
	}
	with := func(backends ...lbapi.Backend) lbapi.Plan { return l.plan(append(backends, dead.Backend)...) }
	frontends := with(a.Backend, b.Backend)
	second := frontends.Frontends[0]
	second.Name, second.Port = "second", l.freePort(l.address(100))
	frontends.Frontends = append(frontends.Frontends, second)
	changes := []lbapi.Plan{with(b.Backend), with(a.Backend, b.Backend), frontends, with(a.Drained(), b.Backend), steady}
	for i := range 15 {
		before := connections.Load()
		l.apply(changes[i%len(changes)])
		l.eventually(connections.Load).Should(BeNumerically(">", before+5), "connections are made between changes")
	}
	close(stop)
	l.Expect(<-failed).To(Succeed())
	l.Expect(<-failed).To(Succeed())
	l.Expect(held.Echo()).To(Succeed())
}

// TestManyServicesAtOnce is as large a plan as one load balancer is asked to carry.
func TestManyServicesAtOnce(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	plan := l.plan()
	like := plan.Frontends[0]
	plan.Frontends = nil
	for i := range 200 {
		f := like
		f.Name, f.VIP, f.Port = fmt.Sprintf("service-%d", i), l.address(100+i%100), like.Port+int32(i/100)
		for n := range 5 {
			b := a.Backend
			b.Name, b.Address = fmt.Sprintf("node-%d", n), l.address(10+n)
			f.Backends = append(f.Backends, b)
		}
		plan.Frontends = append(plan.Frontends, f)
	}
	plan.VIPs = nil
	for i := range 100 {
		plan.VIPs = append(plan.VIPs, lbapi.VIP{Address: l.address(100 + i), Network: l.network + ".0/24", VRID: 1})
	}
	began := time.Now()
	l.apply(plan)
	t.Logf("200 services of 5 nodes in %s", time.Since(began))
	l.Expect(l.ask(l.vipPort)).To(Equal(a.Name))
	for i := range plan.Frontends {
		plan.Frontends[i].Backends = plan.Frontends[i].Backends[:4]
	}
	worker := l.worker()
	began = time.Now()
	l.apply(plan)
	t.Logf("one node less in %s", time.Since(began))
	l.Expect(l.worker()).To(Equal(worker))
}
