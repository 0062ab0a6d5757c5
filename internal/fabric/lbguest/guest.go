package lbguest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Options is what a guest finds when it boots.
type Options struct {
	// Config is what its seed wrote to lbapi.ConfigPath.
	Config lbapi.LBConfig
	// Dir is a folder on its disk, for it alone. It holds the guest's identity and
	// its last good plan.
	Dir string
	// Version is what the guest says that its agent's is.
	Version string
	// HAProxy is the program of a real HAProxy that shall carry the connections; empty
	// for the balancer in Go.
	HAProxy string
	Segment *Segment
	Clock   clock.Clock
	Log     *slog.Logger
}

// applier carries plans out until its power goes.
type applier interface {
	lbagent.Applier
	Halt()
}

func newApplier(opts Options) (applier, error) {
	if opts.HAProxy != "" {
		return newRealBalancer(opts)
	}
	return NewBalancer(opts.Clock, opts.Segment), nil
}

// Guest is a load-balancer guest that runs.
type Guest struct {
	agent    *lbagent.Agent
	balancer applier
	address  string
	// depart takes the guest off the segment.
	depart func()
	cut    context.CancelFunc
	served chan struct{}
}

// Start boots a guest: it puts the last good plan in force and listens for the
// manager. A guest that is not enrolled yet waits with its token.
func Start(opts Options) (_ *Guest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("start load-balancer guest %s: %w", opts.Config.Name, err)
		}
	}()
	if err := opts.Config.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	identity, err := openIdentity(opts)
	if err != nil {
		return nil, err
	}
	ctx, cut := context.WithCancel(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Config.Listen)
	if err != nil {
		cut()
		return nil, err
	}
	g := &Guest{address: listener.Addr().String(), cut: cut, served: make(chan struct{})}
	if g.balancer, err = newApplier(opts); err != nil {
		cut()
		return nil, errors.Join(err, listener.Close())
	}
	g.agent, err = lbagent.Open(ctx, lbagent.Options{
		Name: opts.Config.Name, Version: opts.Version, StateDir: opts.Dir, Identity: identity,
		Applier: g.balancer, Clock: opts.Clock, Log: opts.Log,
	})
	if err != nil {
		cut()
		g.balancer.Halt()
		return nil, errors.Join(err, listener.Close())
	}
	g.depart = opts.Segment.arrive(opts.Config.Listen)
	go func() {
		defer close(g.served)
		if err := g.agent.Serve(ctx, listener); err != nil {
			opts.Log.Error("load-balancer guest does not answer any more", "guest", opts.Config.Name, "error", err)
		}
	}()
	return g, nil
}

func openIdentity(opts Options) (*pki.Agent, error) {
	token, err := pki.ParseToken(opts.Config.EnrolmentToken)
	if err != nil {
		return nil, err
	}
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: filepath.Join(opts.Dir, "identity"), Now: opts.Clock.Now})
	if err != nil {
		return nil, err
	}
	if identity.Enrolled() {
		return identity, nil
	}
	return identity, identity.Arm(token)
}

// Address returns where the guest listens for the manager.
func (g *Guest) Address() string { return g.address }

// Status returns how the guest is, as the manager would be told.
func (g *Guest) Status() lbapi.Status { return g.agent.Status() }

// KillAgent ends the agent alone: nobody can ask the guest any more, and it goes on
// carrying what it carries.
func (g *Guest) KillAgent() {
	g.cut()
	<-g.served
}

// Stop takes the guest's power: its connections break and its neighbours learn it
// by silence. When it returns, nothing of it is left and its addresses are free.
// It must be called once.
func (g *Guest) Stop() {
	g.depart()
	g.balancer.Halt()
	g.cut()
	<-g.served
}
