package lbguest_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

// running returns a VM that holds the VIP and knows the health of its backends.
func running(l *lab, servers ...*lbapitest.Server) *vm {
	l.t.Helper()
	a := l.newVM(2)
	backends, healthy := []lbapi.Backend{}, map[string]lbapi.Health{}
	for _, s := range servers {
		backends = append(backends, s.Backend)
		healthy[s.Name] = lbapi.HealthUp
	}
	a.apply(l.plan(1, []*vm{a}, backends...))
	l.eventually(a.role).Should(Equal(lbapi.RoleActive))
	l.eventually(a.health).Should(Equal(healthy))
	return a
}

// askTwenty counts who answers twenty connections.
func askTwenty(l *lab) map[any]int {
	answers := map[any]int{}
	for range 20 {
		answers[l.ask()]++
	}
	return answers
}

func TestConnectionsGoRound(t *testing.T) {
	l := newLab(t)
	running(l, l.newServer(10), l.newServer(11))
	l.Expect(askTwenty(l)).To(Equal(map[any]int{"cp-10": 10, "cp-11": 10}))
}

func TestABackendThatIsDownGetsNoNewConnections(t *testing.T) {
	l := newLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	held := l.holdOn(s)
	s.Close()
	l.eventually(a.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
	l.Expect(held.Echo()).To(Succeed(), "what is connected goes on")
	l.Expect(s.Listen()).To(Succeed())
	l.Expect(askTwenty(l)).To(Equal(map[any]int{other.Name: 20}), "it has not been checked since")
	l.eventually(a.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthUp))
	l.Expect(askTwenty(l)).To(HaveKeyWithValue(s.Name, 10))
}

func TestAFailedConnectIsNotTheClientsConcern(t *testing.T) {
	l := newLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	s.Close()
	l.Expect(a.health()).To(HaveKeyWithValue(s.Name, lbapi.HealthUp), "no check has noticed yet")
	l.Expect(askTwenty(l)).To(Equal(map[any]int{other.Name: 20}))
}

func TestADrainedBackendKeepsWhatItHas(t *testing.T) {
	l := newLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	held := l.holdOn(s)
	a.apply(l.plan(2, []*vm{a}, s.Drained(), other.Backend))
	l.Expect(askTwenty(l)).To(Equal(map[any]int{other.Name: 20}))
	l.Expect(held.Echo()).To(Succeed())
	for _, b := range a.guest.Status().Backends {
		l.Expect(b.Draining).To(Equal(b.Backend == s.Name))
		if b.Backend == s.Name {
			l.Expect(b.Sessions).To(Equal(int64(1)))
		}
	}
	a.apply(l.plan(3, []*vm{a}, s.Drained()))
	l.Expect(l.ask()).To(BeNil(), "a drained backend is never the last resort")
}

func TestABackendThatIsTakenAwayLosesWhatItHas(t *testing.T) {
	l := newLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	gone, stays := l.holdOn(s), l.holdOn(other)
	a.apply(l.plan(2, []*vm{a}, other.Backend))
	l.Expect(gone.Echo()).NotTo(Succeed())
	l.Expect(stays.Echo()).To(Succeed())
	a.apply(l.plan(3, []*vm{a}, s.Backend, other.Backend))
	l.Expect(l.holdOn(s).Echo()).To(Succeed(), "one that comes back begins anew")
}

func TestABackendThatIsCheckedInAnotherWayKeepsWhatItHas(t *testing.T) {
	l := newLab(t)
	s := l.newServer(10)
	a := running(l, s)
	held := l.holdOn(s)
	plan := l.plan(2, []*vm{a}, s.Backend)
	plan.Frontends[0].Check.Interval *= 2
	a.apply(plan)
	l.Expect(held.Echo()).To(Succeed())
}

func TestARemovedFrontendKeepsItsConnectionsUntilItsVIPGoes(t *testing.T) {
	l := newLab(t)
	s := l.newServer(10)
	a := running(l, s)
	held := l.holdOn(s)
	plan := l.plan(2, []*vm{a})
	plan.Frontends = nil
	a.apply(plan)
	l.Expect(l.ask()).To(BeNil())
	l.Expect(held.Echo()).To(Succeed())
	plan.Generation, plan.VIPs = 3, nil
	a.apply(plan)
	l.Expect(held.Echo()).NotTo(Succeed())
}

func TestOnlyAllowedSourcesAreCarried(t *testing.T) {
	l := newLab(t)
	s := l.newServer(10)
	a := running(l, s)
	for i, tt := range []struct {
		sources []string
		want    any
	}{
		{[]string{"192.0.2.0/24", "127.0.0.1/32"}, s.Name},
		{[]string{"192.0.2.0/24"}, nil},
		{nil, s.Name},
	} {
		plan := l.plan(int64(i+2), []*vm{a}, s.Backend)
		plan.Frontends[0].AllowedSources = tt.sources
		a.apply(plan)
		if tt.want == nil {
			l.Expect(l.ask()).To(BeNil())
		} else {
			l.Expect(l.ask()).To(Equal(tt.want))
		}
	}
}

// TestNoConnectionFailsWhilePlansChange has a client connect all the time while
// backends come, go and are drained.
func TestNoConnectionFailsWhilePlansChange(t *testing.T) {
	l := newLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	held := l.holdOn(other)
	const connections = 200
	// The client never runs ahead of the changes by more than the connection that it
	// is making: one that a drained backend still has is over before that is removed.
	answered, failed := make(chan struct{}), make(chan error, connections)
	go func() {
		defer close(failed)
		for range connections {
			c, err := l.connect()
			if err == nil {
				err = c.Echo()
				c.Close()
			}
			if err != nil {
				failed <- err
			}
			answered <- struct{}{}
		}
	}()
	changes := []func(int64) lbapi.Plan{
		func(n int64) lbapi.Plan { return l.plan(n, []*vm{a}, s.Backend, other.Backend) },
		func(n int64) lbapi.Plan { return l.plan(n, []*vm{a}, s.Drained(), other.Backend) },
		func(n int64) lbapi.Plan { return l.plan(n, []*vm{a}, other.Backend) },
		func(n int64) lbapi.Plan {
			p := l.plan(n, []*vm{a}, s.Backend, other.Backend)
			p.Frontends[0].Check.Interval = 2 * time.Second
			p.Peers[0].Priority--
			return p
		},
	}
	for i := range connections / 10 {
		// A change for every ten connections, each while the next one is being made.
		for range 10 {
			<-answered
		}
		a.apply(changes[i%len(changes)](int64(i + 2)))
	}
	for err := range failed {
		t.Errorf("a connection failed: %v", err)
	}
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(a.role()).To(Equal(lbapi.RoleActive))
}

func TestAPIServersAreCheckedByReadyz(t *testing.T) {
	l := newLab(t)
	a, api := l.newVM(2), l.newAPIServer(10)
	plan := l.plan(1, []*vm{a}, api.Backend)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckTLSReadyz, Path: "/readyz", ServerName: "kubernetes", CA: api.CA,
		Interval: time.Second, Timeout: 5 * time.Second, Rise: 2, Fall: 3,
	}
	a.apply(plan)
	l.eventually(a.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthDown))
	l.Expect(a.guest.Status().Backends[0].Message).To(ContainSubstring("500"))
	api.Ready.Store(true)
	l.eventually(a.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthUp))
	l.Expect(a.guest.Status().Backends[0].Message).To(BeEmpty())

	plan.Generation = 2
	plan.Frontends[0].Check.CA = l.newAPIServer(11).CA
	a.apply(plan)
	l.eventually(a.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthDown))
	l.Expect(a.guest.Status().Backends[0].Message).To(ContainSubstring("certificate"))
}

func TestNodesOfALocalServiceAreCheckedOnTheirHealthPort(t *testing.T) {
	l := newLab(t)
	a, s := l.newVM(2), l.newServer(10)
	var local atomic.Bool
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	health := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !local.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	go func() { _ = health.Serve(listener) }()
	t.Cleanup(func() { _ = health.Close() })
	plan := l.plan(1, []*vm{a}, s.Backend)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckHTTP, Path: "/healthz", Port: int32(listener.Addr().(*net.TCPAddr).Port),
		Interval: time.Second, Timeout: 5 * time.Second, Rise: 1, Fall: 1,
	}
	a.apply(plan)
	l.eventually(a.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
	l.Expect(a.guest.Status().Backends[0].Message).To(ContainSubstring("503"))
	local.Store(true)
	l.eventually(a.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthUp))
}
