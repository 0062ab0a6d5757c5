package lbagent_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// served is an agent that answers on a real socket.
type served struct {
	agent    *lbagent.Agent
	identity *pki.Agent
	applier  *fakeApplier
	clock    *stillClock
	token    pki.Token
	target   lbclient.Target
}

func serve(t *testing.T, dir string, applier *fakeApplier, now pki.Clock) *served {
	t.Helper()
	g := NewWithT(t)
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: dir + "/identity", Now: now})
	g.Expect(err).NotTo(HaveOccurred())
	s := &served{applier: applier, clock: newClock(), identity: identity, token: pki.NewToken()}
	g.Expect(identity.Arm(s.token)).To(Succeed())
	s.agent, err = lbagent.Open(t.Context(), lbagent.Options{
		Name: "lb-0", Version: "v1", StateDir: dir, Identity: identity, Applier: applier, Clock: s.clock, Log: slog.New(slog.DiscardHandler),
	})
	g.Expect(err).NotTo(HaveOccurred())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	s.target = lbclient.Target{Address: listener.Addr().String(), Agent: pki.AgentRef{Name: "lb-0"}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.agent.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		g.Expect(<-done).To(Succeed())
	})
	return s
}

func newManager(t *testing.T, now pki.Clock) *pki.ManagerIdentity {
	t.Helper()
	g := NewWithT(t)
	ca, err := pki.NewCA("capstan", now())
	g.Expect(err).NotTo(HaveOccurred())
	m, err := pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: now})
	g.Expect(err).NotTo(HaveOccurred())
	return m
}

func (s *served) enrol(t *testing.T, m *pki.ManagerIdentity) {
	t.Helper()
	NewWithT(t).Expect(lbclient.Enrol(t.Context(), s.target, m, s.token, func(_ context.Context, pin pki.Pin) error {
		s.target.Agent.Pin = pin
		return nil
	})).To(Succeed())
}

func (s *served) dial(t *testing.T, m *pki.ManagerIdentity) *lbclient.Client {
	t.Helper()
	c, err := lbclient.Dial(s.target, m)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(c.Close()).To(Succeed()) })
	return c
}

func TestTheManagerDrivesTheAgent(t *testing.T) {
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), time.Now), newManager(t, time.Now)
	s.enrol(t, m)
	c := s.dial(t, m)
	hello, err := c.Hello(t.Context(), "v2")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(hello).To(Equal(lbapi.Hello{Name: "lb-0", Version: "v1", Protocols: lbapi.Protocols()}))

	status, err := c.Apply(t.Context(), newPlan(2))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Generation).To(Equal(int64(2)))
	g.Expect(s.applier.applied).To(Equal([]lbapi.Plan{lbapi.Canonical(newPlan(2))}))
	g.Expect(classOf(c.Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.Stale))
	g.Expect(classOf(c.Apply(t.Context(), newPlan(2, otherContent)))).To(Equal(lbapi.Conflict))
	s.applier.failNext(errApply)
	g.Expect(classOf(c.Apply(t.Context(), newPlan(3)))).To(Equal(lbapi.ApplyFailed))
	g.Expect(classOf(c.Apply(t.Context(), newPlan(4, func(p *lbapi.Plan) { p.Frontends[0].Name = "a\xff" })))).To(Equal(lbapi.InvalidPlan))
}

func TestTheManagerFollowsTheStatus(t *testing.T) {
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), time.Now), newManager(t, time.Now)
	s.enrol(t, m)
	c := s.dial(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	statuses, done := make(chan lbapi.Status, 10), make(chan error, 1)
	go func() { done <- c.Watch(ctx, func(s lbapi.Status) { statuses <- s }) }()
	g.Expect((<-statuses).Name).To(Equal("lb-0"))
	s.applier.report(lbagent.Observation{Messages: []string{"VIP has gone"}})
	g.Expect((<-statuses).Messages).To(Equal([]string{"VIP has gone"}))
	cancel()
	g.Expect(lbapi.ClassOf(<-done)).To(Equal(lbapi.Unreachable))
}

func TestNobodyElseDrivesTheAgent(t *testing.T) {
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), time.Now), newManager(t, time.Now)
	unknown := s.target
	unknown.Agent.Pin = pki.Pin{1}
	c, err := lbclient.Dial(unknown, m)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(classOf(c.Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.Untrusted), "a key that is not the pinned one")
	g.Expect(c.Close()).To(Succeed())

	s.enrol(t, m)
	stranger := newManager(t, time.Now)
	g.Expect(classOf(s.dial(t, stranger).Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.Untrusted))
	g.Expect(lbapi.ClassOf(lbclient.Renew(t.Context(), s.target, stranger))).To(Equal(lbapi.Untrusted))
	g.Expect(s.applier.generations()).To(BeEmpty())
}

func TestErrorsSayWhatToDoNext(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), now), newManager(t, now)
	g.Expect(lbapi.ClassOf(lbclient.Enrol(t.Context(), s.target, m, pki.NewToken(), nil))).To(Equal(lbapi.Untrusted), "wrong token")
	bare := s.target
	bare.Agent.Pin = s.identity.Pin()
	c, err := lbclient.Dial(bare, m)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(classOf(c.Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.NotEnrolled))
	g.Expect(c.Close()).To(Succeed())

	s.enrol(t, m)
	offset.Store(int64(400 * 24 * time.Hour))
	g.Expect(classOf(s.dial(t, m).Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.Expired))
	g.Expect(lbclient.Renew(t.Context(), s.target, m)).To(Succeed())
	_, err = s.dial(t, m).Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	s.target.Address = listener.Addr().String()
	g.Expect(listener.Close()).To(Succeed())
	g.Expect(lbapi.ClassOf(lbclient.Renew(t.Context(), s.target, m))).To(Equal(lbapi.Unreachable))
	g.Expect(classOf(s.dial(t, m).Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.Unreachable))
}

func TestThePlanThatFailedAtTheStartIsTriedAgain(t *testing.T) {
	g, dir := NewWithT(t), t.TempDir()
	_, err := open(t, dir, newApplier(), newClock()).Apply(t.Context(), newPlan(5))
	g.Expect(err).NotTo(HaveOccurred())

	applier := newApplier()
	applier.failNext(errApply, errApply)
	s := serve(t, dir, applier, time.Now)
	g.Expect(s.agent.Status().Generation).To(BeZero())
	g.Expect(s.agent.Status().Messages).To(ContainElement(ContainSubstring(errApply.Error())))
	for range 2 {
		(<-s.clock.waits) <- time.Time{}
	}
	g.Eventually(func() int64 { return s.agent.Status().Generation }).Should(Equal(int64(5)))
	g.Expect(s.agent.Status().Messages).To(BeEmpty())
}

func TestAVMOfManyBackendsAnswers(t *testing.T) {
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), time.Now), newManager(t, time.Now)
	s.enrol(t, m)
	seen := lbagent.Observation{Backends: make([]lbapi.BackendStatus, 60000)}
	for i := range seen.Backends {
		seen.Backends[i] = lbapi.BackendStatus{Frontend: fmt.Sprintf("%0100d", i), Backend: "node", Health: lbapi.HealthUp}
	}
	s.applier.report(seen)
	status, err := s.dial(t, m).Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Backends).To(HaveLen(lbapi.MaxBackendsTold))
	g.Expect(status.BackendsLeftOut).To(BeEquivalentTo(60000 - lbapi.MaxBackendsTold))
}

func TestAnAnswerMayBeAsLargeAsAPlan(t *testing.T) {
	g, s, m := NewWithT(t), serve(t, t.TempDir(), newApplier(), time.Now), newManager(t, time.Now)
	s.enrol(t, m)
	s.applier.report(lbagent.Observation{Messages: []string{strings.Repeat("x", 5<<20)}})
	c := s.dial(t, m)
	status, err := c.Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Messages).To(HaveLen(1))

	s.applier.report(lbagent.Observation{Messages: []string{strings.Repeat("x", lbapi.MaxMessage)}})
	_, err = c.Apply(t.Context(), newPlan(2))
	g.Expect(lbapi.ClassOf(err)).To(Equal(lbapi.TooLarge), "it answers, if not in a way that can be read")
	g.Expect(err).To(MatchError(ContainSubstring("larger than max")))
	g.Expect(lbapi.ClassOf(c.Watch(t.Context(), func(lbapi.Status) {}))).To(Equal(lbapi.TooLarge))
}
