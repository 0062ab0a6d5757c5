package enrol_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/pki"
)

var errRecord = errors.New("API server is away")

// world is a clock that the manager and its agents share.
type world struct{ offset atomic.Int64 }

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *world) pass(d time.Duration) { w.offset.Add(int64(d)) }

func newManager(t *testing.T, w *world) *pki.ManagerIdentity {
	t.Helper()
	g := NewWithT(t)
	ca, err := pki.NewCA("capstan", w.now())
	g.Expect(err).NotTo(HaveOccurred())
	m, err := pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: w.now})
	g.Expect(err).NotTo(HaveOccurred())
	return m
}

// runningAgent serves enrolment and, for an ordinary call, gRPC's health service.
type runningAgent struct {
	*pki.Agent
	address string
	token   pki.Token
	ref     pki.AgentRef
	// stop ends the agent before its test does.
	stop func()
}

func startAgent(t *testing.T, w *world) *runningAgent {
	t.Helper()
	g := NewWithT(t)
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: t.TempDir() + "/pki", Now: w.now})
	g.Expect(err).NotTo(HaveOccurred())
	a := &runningAgent{Agent: identity, token: pki.NewToken(), ref: pki.AgentRef{Name: "agent-0", Hosts: []string{"127.0.0.1"}}}
	g.Expect(identity.Arm(a.token)).To(Succeed())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	a.address = listener.Addr().String()
	server := grpc.NewServer(enrol.ServerOptions(identity)...)
	enrol.Register(server, identity)
	healthpb.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	a.stop = server.Stop
	t.Cleanup(func() {
		server.Stop()
		g.Expect(<-served).To(Succeed())
	})
	return a
}

func (a *runningAgent) enrol(ctx context.Context, m *pki.ManagerIdentity, token pki.Token) error {
	return enrol.Enrol(ctx, a.address, m, a.ref, token, func(_ context.Context, pin pki.Pin) error {
		a.ref.Pin = pin
		return nil
	})
}

// call makes an ordinary call and returns its cause.
func (a *runningAgent) call(ctx context.Context, t *testing.T, config *tls.Config) error {
	t.Helper()
	conn, err := enrol.Connect(a.address, config)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	defer func() { NewWithT(t).Expect(conn.Close()).To(Succeed()) }()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return conn.Cause(err)
}

func TestAnEnrolledAgentAnswersItsManager(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	g.Expect(a.ref.Pin).To(Equal(a.Agent.Pin()))
	g.Expect(a.call(t.Context(), t, m.ClientConfig(a.ref))).To(Succeed())
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed(), "again, as after a crash")
}

func TestAnAgentWithoutManagerAnswersNothingElse(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	g.Expect(a.call(t.Context(), t, m.EnrolConfig(a.ref))).To(MatchError(pki.ErrNotEnrolled))
	a.ref.Pin = a.Agent.Pin()
	g.Expect(a.call(t.Context(), t, m.ClientConfig(a.ref))).To(MatchError(pki.ErrNotEnrolled))
}

func TestAWrongTokenBindsNobody(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	g.Expect(a.enrol(t.Context(), m, pki.NewToken())).To(MatchError(pki.ErrProof))
	g.Expect(a.ref.Pin.IsZero()).To(BeTrue())
	g.Expect(a.Enrolled()).To(BeFalse())
}

func TestAnAgentIsNotBoundBeforeItsPinIsRecorded(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	err := enrol.Enrol(t.Context(), a.address, m, a.ref, a.token, func(context.Context, pki.Pin) error { return errRecord })
	g.Expect(err).To(MatchError(errRecord))
	g.Expect(a.Enrolled()).To(BeFalse())
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
}

func TestAnotherManagerIsRefused(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, stranger, a := newManager(t, w), newManager(t, w), startAgent(t, w)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	for name, config := range map[string]*tls.Config{
		"ordinary call": stranger.EnrolConfig(a.ref),
		"renewal":       stranger.RenewConfig(a.ref),
	} {
		g.Expect(a.call(t.Context(), t, config)).To(MatchError(enrol.ErrRefused), name)
	}
	g.Expect(a.enrol(t.Context(), stranger, a.token)).To(MatchError(enrol.ErrRefused))
	g.Expect(enrol.Renew(t.Context(), a.address, stranger, a.ref)).To(MatchError(enrol.ErrRefused))
	// The stranger's own judgement comes first where it has one.
	g.Expect(a.call(t.Context(), t, stranger.ClientConfig(a.ref))).To(MatchError(pki.ErrUntrusted))
}

func TestAnotherAgentAtTheAddressIsNotBelieved(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a, other := newManager(t, w), startAgent(t, w), startAgent(t, w)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	g.Expect(other.call(t.Context(), t, m.ClientConfig(a.ref))).To(MatchError(pki.ErrPin))
}

func TestOnlyRenewWorksAfterYearsOff(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	w.pass(400 * 24 * time.Hour)
	g.Expect(a.call(t.Context(), t, m.ClientConfig(a.ref))).To(MatchError(pki.ErrDates))
	g.Expect(enrol.Renew(t.Context(), a.address, m, a.ref)).To(Succeed())
	g.Expect(a.call(t.Context(), t, m.ClientConfig(a.ref))).To(Succeed())
}

// connectPastDates connects to an agent whose certificate has expired since it was
// enrolled.
func connectPastDates(t *testing.T, w *world, m *pki.ManagerIdentity, a *runningAgent) (*enrol.Conn, healthpb.HealthClient) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	conn, err := enrol.Connect(a.address, m.ClientConfig(a.ref))
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(conn.Close()).To(Succeed()) })
	client := healthpb.NewHealthClient(conn)

	w.pass(400 * 24 * time.Hour)
	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{})
	g.Expect(conn.Cause(err)).To(MatchError(pki.ErrDates))
	return conn, client
}

func TestCauseSpeaksOfTheLastHandshakeOnly(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	conn, client := connectPastDates(t, w, m, a)
	g.Expect(enrol.Renew(t.Context(), a.address, m, a.ref)).To(Succeed())
	_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "unknown"})
	g.Expect(err).To(HaveOccurred())
	g.Expect(conn.Cause(err)).NotTo(MatchError(pki.ErrDates))
}

func TestAnAgentThatFellSilentIsNotTakenForAWrongOne(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m, a := newManager(t, w), startAgent(t, w)
	conn, client := connectPastDates(t, w, m, a)
	a.stop()
	g.Eventually(func() error {
		_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
		return conn.Cause(err)
	}).WithTimeout(20 * time.Second).Should(And(HaveOccurred(), Not(MatchError(pki.ErrDates))))
}

func TestNobodyListening(t *testing.T) {
	g, w := NewWithT(t), &world{}
	m := newManager(t, w)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	address := listener.Addr().String()
	g.Expect(listener.Close()).To(Succeed())
	err = enrol.Renew(t.Context(), address, m, pki.AgentRef{Name: "agent-0"})
	var op *net.OpError
	g.Expect(errors.As(err, &op)).To(BeTrue())
}

func TestOnlyRenewWorksForAnAgentWithAWrongClock(t *testing.T) {
	g, w, theirs := NewWithT(t), &world{}, &world{}
	m, a := newManager(t, w), startAgent(t, theirs)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	theirs.pass(-400 * 24 * time.Hour)
	g.Expect(a.call(t.Context(), t, m.ClientConfig(a.ref))).To(MatchError(pki.ErrDates))
	g.Expect(enrol.Renew(t.Context(), a.address, m, a.ref)).To(Succeed())
}

// TestACertificateOfAWrongClockIsNotShownForLong: a connection goes on showing the
// certificate it began with, which a manager made whose clock was a year ahead.
func TestACertificateOfAWrongClockIsNotShownForLong(t *testing.T) {
	g, w, theirs := NewWithT(t), &world{}, &world{}
	m, a := newManager(t, w), startAgent(t, theirs)
	g.Expect(a.enrol(t.Context(), m, a.token)).To(Succeed())
	w.pass(400 * 24 * time.Hour)
	g.Expect(enrol.Renew(t.Context(), a.address, m, a.ref)).To(Succeed())
	conn, err := enrol.Connect(a.address, m.ClientConfig(a.ref))
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(conn.Close()).To(Succeed()) }()
	call := func() error {
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return conn.Cause(err)
	}
	g.Expect(call()).To(MatchError(pki.ErrDates), "the agent's clock is right")

	w.pass(-400 * 24 * time.Hour)
	g.Expect(enrol.Renew(t.Context(), a.address, m, a.ref)).To(Succeed())
	conn.ResetConnectBackoff()
	g.Eventually(call).WithTimeout(time.Minute).WithPolling(10 * time.Millisecond).Should(Succeed())
}
