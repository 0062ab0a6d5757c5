package lbguest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

const vipPort = 6443

// lab is one network of 127.0.0.0/8 with a clock, a segment and a manager.
type lab struct {
	*WithT
	t       *testing.T
	prefix  string
	clock   *clocktesting.FakeClock
	segment *lbguest.Segment
	manager *pki.ManagerIdentity
	// haproxy is the program that guests carry connections with; empty for Go.
	haproxy string
}

var labs atomic.Int32

func newLab(t *testing.T) *lab {
	t.Helper()
	// By the process, so that two runs of the tests at a time do not meet.
	l := &lab{WithT: NewWithT(t), t: t, prefix: fmt.Sprintf("127.%d.%d", 128+os.Getpid()%120, 1+labs.Add(1)%250)}
	l.clock = clocktesting.NewFakeClock(time.Now())
	l.segment = lbguest.NewSegment(l.clock)
	ca, err := pki.NewCA("capstan", l.clock.Now())
	l.Expect(err).NotTo(HaveOccurred())
	l.manager, err = pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: l.clock.Now})
	l.Expect(err).NotTo(HaveOccurred())
	return l
}

func (l *lab) address(host int) string { return fmt.Sprintf("%s.%d", l.prefix, host) }

func (l *lab) vip() string { return l.address(100) }

// eventually lets the clock run in small steps until the matcher is satisfied.
func (l *lab) eventually(observe func() any) AsyncAssertion {
	return l.Eventually(func() any {
		l.clock.Step(20 * time.Millisecond)
		return observe()
	}).WithTimeout(10 * time.Second).WithPolling(2 * time.Millisecond)
}

// vm is a load-balancer VM with its disk, on or off.
type vm struct {
	*lab
	host   int
	name   string
	dir    string
	token  pki.Token
	target lbclient.Target
	guest  *lbguest.Guest
	client *lbclient.Client
}

func (l *lab) newVM(host int) *vm {
	l.t.Helper()
	v := &vm{lab: l, host: host, name: fmt.Sprintf("lb-%d", host), dir: l.t.TempDir(), token: pki.NewToken()}
	v.target = lbclient.Target{Address: l.address(host) + ":9443", Agent: pki.AgentRef{Name: v.name, Hosts: []string{l.address(host)}}}
	v.powerOn()
	l.t.Cleanup(v.powerOff)
	l.Expect(lbclient.Enrol(l.t.Context(), v.target, l.manager, v.token, func(_ context.Context, pin pki.Pin) error {
		v.target.Agent.Pin = pin
		return nil
	})).To(Succeed())
	var err error
	v.client, err = lbclient.Dial(v.target, l.manager)
	l.Expect(err).NotTo(HaveOccurred())
	l.t.Cleanup(func() { l.Expect(v.client.Close()).To(Succeed()) })
	return v
}

func (v *vm) powerOn() {
	v.t.Helper()
	guest, err := lbguest.Start(lbguest.Options{
		Config: lbapi.LBConfig{Name: v.name, Listen: v.target.Address, EnrolmentToken: v.token.Reveal()},
		Dir:    v.dir, Version: "test", HAProxy: v.haproxy, Segment: v.segment, Clock: v.clock, Log: slog.New(slog.DiscardHandler),
	})
	v.Expect(err).NotTo(HaveOccurred())
	v.guest = guest
}

func (v *vm) powerOff() {
	if v.guest != nil {
		v.guest.Stop()
		v.guest = nil
	}
}

func (v *vm) apply(plan lbapi.Plan) {
	v.t.Helper()
	plan.Self = v.name
	_, err := v.client.Apply(v.t.Context(), plan)
	v.Expect(err).NotTo(HaveOccurred())
}

func (v *vm) role() any {
	for _, s := range v.guest.Status().VIPs {
		return s.Role
	}
	return nil
}

// health is that of the first frontend's backends, by name.
func (v *vm) health() any {
	out := map[string]lbapi.Health{}
	for _, b := range v.guest.Status().Backends {
		out[b.Backend] = b.Health
	}
	return out
}

// plan is for the given VMs, the first of them preferred, with one TCP frontend.
func (l *lab) plan(generation int64, vms []*vm, backends ...lbapi.Backend) lbapi.Plan {
	p := lbapi.Plan{
		Generation: generation, Cluster: "default/shop",
		VIPs: []lbapi.VIP{{Address: l.vip(), Network: l.prefix + ".0/24", VRID: 7}},
		Frontends: []lbapi.Frontend{{
			Name: "api", VIP: l.vip(), Port: vipPort, Protocol: lbapi.TCP, Backends: backends,
			Check: lbapi.Check{Kind: lbapi.CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2},
		}},
	}
	for i, v := range vms {
		p.Peers = append(p.Peers, lbapi.Peer{Name: v.name, Address: l.address(v.host), Priority: int32(200 - 60*i)})
	}
	return p
}

func (l *lab) newServer(host int) *lbapitest.Server {
	l.t.Helper()
	s := &lbapitest.Server{Backend: lbapi.Backend{Name: fmt.Sprintf("cp-%d", host), Address: l.address(host), Port: vipPort}}
	l.Expect(s.Listen()).To(Succeed())
	l.t.Cleanup(s.Close)
	return s
}

func (l *lab) connect() (*lbapitest.Stream, error) {
	return lbapitest.Connect(l.t.Context(), fmt.Sprintf("%s:%d", l.vip(), vipPort))
}

// holdOn returns a connection to the given server.
func (l *lab) holdOn(s *lbapitest.Server) *lbapitest.Stream {
	l.t.Helper()
	return lbapitest.HoldOn(l.t, fmt.Sprintf("%s:%d", l.vip(), vipPort), s)
}

// ask returns who answers a new connection, or nil if nobody does.
func (l *lab) ask() any {
	s, err := l.connect()
	if err != nil {
		return nil
	}
	s.Close()
	return s.Server
}

func (l *lab) newAPIServer(host int) *lbapitest.APIServer {
	l.t.Helper()
	backend := lbapi.Backend{Name: fmt.Sprintf("cp-%d", host), Address: l.address(host), Port: vipPort}
	return lbapitest.NewAPIServer(l.t, backend, "kubernetes", l.clock.Now())
}
