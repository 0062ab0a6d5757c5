package agenttest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Options is what a Host is made of. The zero value of each field but Driver
// is good for most tests.
type Options struct {
	// Driver is any driver.
	Driver hostapi.Driver
	// Name is the agent's, as its certificate says it.
	Name string
	// Manager is a new one if it is nil.
	Manager *pki.ManagerIdentity
	// Now is the time that certificates are judged by on both sides.
	Now pki.Clock
	// Log gets the agent's log.
	Log *slog.Logger
	// AwaitBury leaves it to the test to hand in the first tombstones. Otherwise
	// the agent is given none at its first start and may start VMs.
	AwaitBury bool
	// NotEnrolled leaves the enrolment to the test.
	NotEnrolled bool
}

// Host is an agent that runs in the test's process and listens on loopback.
type Host struct {
	// Manager is the identity that the agent was enrolled with.
	Manager *pki.ManagerIdentity
	// Token is the one that the agent was armed with.
	Token pki.Token
	// Target is how to reach the agent.
	Target hostclient.Target

	t        testing.TB
	options  Options
	stateDir string
	client   *hostclient.Client
	stop     func()
}

// Start starts an agent and enrols it. It is stopped when the test ends.
func Start(t testing.TB, options Options) *Host {
	t.Helper()
	if options.Name == "" {
		options.Name = "host-1"
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if options.Manager == nil {
		options.Manager = NewManager(t, options.Now)
	}
	h := &Host{
		Manager: options.Manager, Token: pki.NewToken(),
		Target: hostclient.Target{Address: "127.0.0.1:0", Name: options.Name},
		t:      t, options: options, stateDir: t.TempDir() + "/state",
	}
	h.run()
	t.Cleanup(h.Stop)
	if !options.NotEnrolled {
		h.Enrol(t.Context())
		if !options.AwaitBury {
			if _, err := h.Client().Bury(t.Context(), nil); err != nil {
				t.Fatalf("hand in no tombstones: %v", err)
			}
		}
	}
	return h
}

// NewManager returns a manager with a CA of its own.
func NewManager(t testing.TB, now pki.Clock) *pki.ManagerIdentity {
	t.Helper()
	ca, err := pki.NewCA("capstan", now())
	if err != nil {
		t.Fatalf("make CA: %v", err)
	}
	manager, err := pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: now})
	if err != nil {
		t.Fatalf("make manager: %v", err)
	}
	return manager
}

// Enrol enrols the agent with the harness's manager.
func (h *Host) Enrol(ctx context.Context) {
	h.t.Helper()
	err := hostclient.Enrol(ctx, h.Target, h.Manager, h.Token, func(_ context.Context, pin pki.Pin) error {
		h.Target.Pin = pin
		return nil
	})
	if err != nil {
		h.t.Fatalf("enrol: %v", err)
	}
}

// Client returns a client of the agent, always the same while it runs.
func (h *Host) Client() *hostclient.Client {
	h.t.Helper()
	if h.client == nil {
		client, err := hostclient.Dial(h.Target, h.Manager)
		if err != nil {
			h.t.Fatalf("dial: %v", err)
		}
		h.client = client
	}
	return h.client
}

// Restart stops the agent and starts another one on the same state and address.
// Driver replaces the driver unless it is nil.
func (h *Host) Restart(driver hostapi.Driver) {
	h.t.Helper()
	h.Stop()
	if driver != nil {
		h.options.Driver = driver
	}
	h.run()
}

// Stop stops the agent as SIGTERM does.
func (h *Host) Stop() {
	if h.client != nil {
		h.client.Close()
		h.client = nil
	}
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

func (h *Host) run() {
	h.t.Helper()
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: h.stateDir, Now: h.options.Now})
	if err != nil {
		h.t.Fatalf("open identity: %v", err)
	}
	if !identity.Enrolled() {
		if err := identity.Arm(h.Token); err != nil {
			h.t.Fatalf("arm token: %v", err)
		}
	}
	a, err := agent.New(agent.Config{
		Driver: h.options.Driver, DriverName: "agenttest", StateDir: h.stateDir, Version: "v0.0.0-test", Log: h.options.Log,
	})
	if err != nil {
		h.t.Fatalf("open agent: %v", err)
	}
	listener, err := net.Listen("tcp", h.Target.Address)
	if err != nil {
		h.t.Fatalf("listen: %v", err)
	}
	h.Target.Address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- agent.Serve(ctx, listener, a, identity, h.options.Log) }()
	h.stop = func() {
		cancel()
		if err := <-served; err != nil {
			h.t.Errorf("serve: %v", err)
		}
	}
}
