package haproxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

// newMembers are API servers of one cluster that are ready.
func (l *lab) newMembers() (first, second *lbapitest.APIServer) {
	l.t.Helper()
	first = l.newAPIServer(10, serverName)
	second = first.Another(lbapi.Backend{Name: "cp-11", Address: l.address(11)})
	first.Ready.Store(true)
	second.Ready.Store(true)
	return first, second
}

// planned is a plan whose check is the one that a manager plans: one that is more often
// has less time for each, and loses patience with servers on a machine that is busy.
func (l *lab) planned(ca string, backends ...lbapi.Backend) lbapi.Plan {
	plan := l.apiPlan(ca, backends...)
	check := &plan.Frontends[0].Check
	check.Interval, check.Timeout, check.Fall = time.Second, 3*time.Second, 3
	return plan
}

// handshake connects anew. A server that never answers is waited for as long as a person
// would at most.
func (l *lab) handshake() error {
	const longest = 20 * time.Second
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: longest}, Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(l.t.Context(), "tcp", fmt.Sprintf("%s:%d", l.address(100), l.vipPort))
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// handshakes connects anew all the time until it is told to stop, and returns what failed.
func (l *lab) handshakes() (made *atomic.Int64, stop func() []error) {
	made = &atomic.Int64{}
	end := make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	all.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			// One that hangs must not keep others from being made.
			all.Go(func() {
				err := l.handshake()
				made.Add(1)
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, err)
				}
			})
		}
	})
	return made, func() []error {
		close(end)
		all.Wait()
		return failed
	}
}

// The kernel of a machine accepts connections from the moment that an API server listens,
// which may be long before it serves.
func TestAnAPIServerThatJoinsGetsNoConnectionBeforeItServes(t *testing.T) {
	t.Parallel()
	for how, change := range map[string]func(*lbapi.Plan, int){
		"by the runtime API": func(*lbapi.Plan, int) {},
		"by a reload": func(p *lbapi.Plan, round int) {
			if round%2 == 0 {
				p.Frontends[0].AllowedSources = []string{"127.0.0.0/8"}
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			l := newLab(t)
			first, second := l.newMembers()
			l.apply(l.planned(first.CA, first.Backend))
			l.eventually(l.health).Should(HaveKeyWithValue(first.Name, lbapi.HealthUp))
			made, stop := l.handshakes()
			for round := range 4 {
				// It refuses at first, or accepts.
				refuses := round/2%2 == 0
				second.Stop()
				if !refuses {
					second.Hang()
				}
				plan := l.planned(first.CA, first.Backend, second.Backend)
				change(&plan, round)
				before := made.Load()
				l.apply(plan)
				l.eventually(l.health).Should(HaveKeyWithValue(second.Name, lbapi.HealthDown))
				if refuses {
					second.Hang()
				}
				l.eventually(made.Load).Should(BeNumerically(">", before+40))
				plan = l.planned(first.CA, first.Backend)
				change(&plan, round)
				l.apply(plan)
			}
			l.Expect(stop()).To(BeEmpty())
		})
	}
}

// A machine whose API server ends a moment after the plan without it is in force.
func TestAnAPIServerThatLeavesGetsNoConnectionAfterwards(t *testing.T) {
	l := newLab(t)
	first, second := l.newMembers()
	both, one := l.planned(first.CA, first.Backend, second.Backend), l.planned(first.CA, first.Backend)
	l.apply(both)
	l.eventually(l.health).Should(HaveKeyWithValue(first.Name, lbapi.HealthUp))
	made, stop := l.handshakes()
	for range 4 {
		l.eventually(l.health).Should(HaveKeyWithValue(second.Name, lbapi.HealthUp))
		before := made.Load()
		l.eventually(made.Load).Should(BeNumerically(">", before+20))
		l.apply(one)
		second.Hang()
		before = made.Load()
		l.eventually(made.Load).Should(BeNumerically(">", before+20))
		second.Serve()
		l.apply(both)
	}
	l.Expect(stop()).To(BeEmpty())
}

// Checks come so seldom here that none would find out in time.
func TestAnAPIServerThatRefusesIsDownBeforeItListensAgain(t *testing.T) {
	l := newLab(t)
	first, second := l.newMembers()
	plan := l.planned(first.CA, first.Backend, second.Backend)
	plan.Frontends[0].Check.Interval = time.Minute
	l.apply(plan)
	l.eventually(l.health).Should(And(HaveKeyWithValue(first.Name, lbapi.HealthUp), HaveKeyWithValue(second.Name, lbapi.HealthUp)))
	second.Stop()
	l.eventually(func() map[string]lbapi.Health {
		// Somebody has to be refused.
		_ = l.handshake()
		return l.health()
	}).Should(HaveKeyWithValue(second.Name, lbapi.HealthDown))
	second.Hang()
	for range 20 {
		l.Expect(l.handshake()).To(Succeed())
	}
}

func TestOnlyConnectionsEndThatWereNeverAnswered(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	plan := l.plan(a.Backend)
	l.apply(plan)
	l.eventually(l.health).Should(HaveKeyWithValue(a.Name, lbapi.HealthUp))
	answered := l.holdOn(a)
	a.Close()
	listener, err := net.Listen("tcp", net.JoinHostPort(a.Address, fmt.Sprint(a.Port)))
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })

	hang := func() net.Conn {
		conn, err := net.Dial("tcp", net.JoinHostPort(l.address(100), fmt.Sprint(l.vipPort)))
		l.Expect(err).NotTo(HaveOccurred())
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintln(conn, "hello")
		l.Expect(err).NotTo(HaveOccurred())
		return conn
	}
	server := haproxy.IDOf(plan.Frontends[0], a.Backend)
	sessions := func(of haproxy.ID) func() int64 {
		return func() int64 {
			stats, _ := l.haproxy.Stat(t.Context())
			return stats[of].Sessions
		}
	}
	waits := []net.Conn{hang()}
	l.eventually(sessions(server)).Should(BeEquivalentTo(2))
	// A reload: the first one is carried by a worker that was replaced.
	plan = plan.Clone()
	plan.Frontends[0].AllowedSources = []string{"127.0.0.0/8"}
	l.apply(plan)
	waits = append(waits, hang())
	l.eventually(sessions(server)).Should(BeEquivalentTo(3))

	other := haproxy.ID{Backend: server.Backend, Name: "s:another"}
	l.Expect(l.haproxy.CutUnanswered(t.Context(), []haproxy.ID{other}, time.Minute)).To(BeZero())
	l.Expect(l.haproxy.CutUnanswered(t.Context(), []haproxy.ID{server}, time.Minute)).To(Equal(2))
	for _, conn := range waits {
		l.Expect(conn.SetReadDeadline(time.Now().Add(10 * time.Second))).To(Succeed())
		_, err := conn.Read(make([]byte, 1))
		l.Expect(err).To(HaveOccurred())
		l.Expect(errors.Is(err, os.ErrDeadlineExceeded)).To(BeFalse(), "%v", err)
	}
	l.Expect(answered.Echo()).To(Succeed())
}
