package pki_test

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

const (
	hostName = "host-1.example.test"
	hostAddr = "10.0.0.11"
)

// clock is one machine's idea of the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// revoked is a list of revoked keys.
type revoked struct {
	mu   sync.Mutex
	pins map[pki.Pin]bool
}

func (r *revoked) Add(pin pki.Pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pins == nil {
		r.pins = map[pki.Pin]bool{}
	}
	r.pins[pin] = true
}

func (r *revoked) Has(pin pki.Pin) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pins[pin]
}

// world is one manager and one agent with a token between them.
type world struct {
	g       *WithT
	clock   *clock
	dir     string
	token   pki.Token
	manager *pki.ManagerIdentity
	agent   *pki.Agent
	ref     pki.AgentRef

	agentRevoked, managerRevoked revoked
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		g:     NewWithT(t),
		clock: newClock(),
		dir:   t.TempDir() + "/pki",
		token: pki.NewToken(),
		ref:   pki.AgentRef{Name: hostName, Hosts: []string{hostAddr}},
	}
	w.manager = newManager(t, w.clock, w.managerRevoked.Has)
	w.restartAgent()
	w.g.Expect(w.agent.Arm(w.token)).To(Succeed())
	return w
}

// newEnrolledWorld is a world whose enrolment is over.
func newEnrolledWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.g.Expect(w.enrol()).To(Succeed())
	return w
}

func newManager(t *testing.T, c *clock, isRevoked pki.Revocations) *pki.ManagerIdentity {
	t.Helper()
	g := NewWithT(t)
	ca, err := pki.NewCA("capstan test", c.Now())
	g.Expect(err).NotTo(HaveOccurred())
	m, err := pki.NewManager(pki.ManagerOptions{Name: "capstan-manager", CA: ca, Now: c.Now, Revoked: isRevoked})
	g.Expect(err).NotTo(HaveOccurred())
	return m
}

// restartAgent opens the agent's state directory as a new process would.
func (w *world) restartAgent() {
	agent, err := pki.OpenAgent(pki.AgentOptions{StateDir: w.dir, Now: w.clock.Now, Revoked: w.agentRevoked.Has})
	w.g.Expect(err).NotTo(HaveOccurred())
	w.agent = agent
}

// enrol goes through the whole enrolment on one connection.
func (w *world) enrol() error { return enrolAs(w, w.manager, w.token, &w.ref) }

func enrolAs(w *world, manager *pki.ManagerIdentity, token pki.Token, ref *pki.AgentRef) error {
	conn, err := connect(manager.EnrolConfig(*ref), w.agent.ServerConfig())
	if err != nil {
		return err
	}
	e, err := manager.Enrol(conn.client, *ref, token)
	if err != nil {
		return err
	}
	resp, err := w.agent.Enrol(conn.server, e.Request())
	if err != nil {
		return err
	}
	pin, err := e.Accept(resp)
	if err != nil {
		return err
	}
	ref.Pin = pin
	install, err := e.Certify()
	if err != nil {
		return err
	}
	_, err = w.agent.Install(conn.server, install)
	return err
}

// call does what a client's dial and a server's interceptor do for one RPC.
func (w *world) call(config *tls.Config, op pki.Operation) (connection, error) {
	conn, err := connect(config, w.agent.ServerConfig())
	if err != nil {
		return conn, err
	}
	return conn, w.authorize(conn, op)
}

func (w *world) authorize(conn connection, op pki.Operation) error {
	peer, err := w.agent.PeerOf(conn.server)
	if err != nil {
		return err
	}
	return peer.Authorize(op)
}

func (w *world) ordinary() error {
	_, err := w.call(w.manager.ClientConfig(w.ref), pki.Ordinary)
	return err
}

func (w *world) renew() error {
	conn, err := w.call(w.manager.RenewConfig(w.ref), pki.Renewing)
	if err != nil {
		return err
	}
	req, err := w.manager.Renewal(conn.client, w.ref)
	if err != nil {
		return err
	}
	_, err = w.agent.Renew(conn.server, req)
	return err
}

// connection is what both ends know about one finished TLS handshake.
type connection struct{ client, server tls.ConnectionState }

// connect makes a real TLS connection over loopback; an unbuffered pipe would
// not do, as both ends of a refused handshake may write at once. It fails if
// either end refuses the other; errors of both ends are joined.
func connect(clientConfig, serverConfig *tls.Config) (connection, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return connection{}, err
	}
	defer listener.Close()
	type end struct {
		state tls.ConnectionState
		err   error
	}
	served := make(chan end, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			served <- end{err: err}
			return
		}
		defer raw.Close()
		server := tls.Server(raw, serverConfig)
		if err = server.Handshake(); err == nil {
			_, err = server.Write([]byte{1})
		}
		served <- end{state: server.ConnectionState(), err: err}
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return connection{}, err
	}
	client := tls.Client(raw, clientConfig)
	if err = client.Handshake(); err == nil {
		// In TLS 1.3 a client learns only by reading that it was refused.
		_, err = client.Read(make([]byte, 1))
	}
	_ = raw.Close()
	server := <-served
	if err := errors.Join(err, server.err); err != nil {
		return connection{}, err
	}
	return connection{client: client.ConnectionState(), server: server.state}, nil
}
