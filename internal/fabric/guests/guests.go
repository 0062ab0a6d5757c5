package guests

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/guest"
	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/fabric/lbvm"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Options are what guests need of the world.
type Options struct {
	Clock clock.WithTickerAndDelayedExecution
	Log   logr.Logger
	// Version is what load balancers say that their agent's is.
	Version string
	// HAProxy is the program of a real HAProxy that load balancers shall carry
	// connections with; empty for a balancer in Go.
	HAProxy string
	// Network has load balancers that are machines of their own, with keepalived and
	// HAProxy as they ship. Without it they are in this process and elect by its word.
	Network *lbvm.Network
}

// Runtime is a fabric.GuestRuntime of simulated machines.
type Runtime struct {
	guests *guest.Runtime
}

var _ fabric.GuestRuntime = (*Runtime)(nil)

// New returns a runtime whose load balancers hear each other.
func New(opts Options) *Runtime {
	of := guest.Options{Clock: opts.Clock, Log: opts.Log, LoadBalancer: inProcess(opts)}
	if opts.Network != nil {
		of.Plug, of.LoadBalancer = plug(opts), ofItsOwn(opts)
	}
	return &Runtime{guests: guest.New(of)}
}

// lbDir is where a load balancer keeps what it has, on its disk.
func lbDir(m guest.Machine) string { return filepath.Join(m.DiskDir, "capstan-lb") }

// inProcess runs load balancers in this process, with addresses of this machine.
func inProcess(opts Options) guest.LoadBalancer {
	segment := lbguest.NewSegment(opts.Clock)
	log := slog.New(logr.ToSlogHandler(opts.Log))
	return func(_ context.Context, m guest.Machine, _ []guest.NIC, config lbapi.LBConfig) (guest.Cable, error) {
		g, err := lbguest.Start(lbguest.Options{
			Config: config, Dir: lbDir(m), Version: opts.Version,
			HAProxy: opts.HAProxy, Segment: segment, Clock: opts.Clock, Log: log.With("vm", m.Name),
		})
		if err != nil {
			return nil, err
		}
		return guest.NoCable{Stop: g.Stop}, nil
	}
}

// ofItsOwn runs each load balancer as a machine of its own.
func ofItsOwn(opts Options) guest.LoadBalancer {
	return func(_ context.Context, m guest.Machine, nics []guest.NIC, config lbapi.LBConfig) (guest.Cable, error) {
		vm, err := opts.Network.Start(lbvm.Machine{ID: m.GUID, NICs: nics, Dir: lbDir(m), Config: config})
		if err != nil {
			return nil, err
		}
		return cable{vm, opts.Log}, nil
	}
}

// plug gives the guests of this process their addresses beside those.
func plug(opts Options) guest.Plug {
	return func(nics []guest.NIC) (guest.Cable, error) {
		port, err := opts.Network.Plug(nics)
		if err != nil {
			return nil, err
		}
		return cable{port, opts.Log}, nil
	}
}

// cable ends in a way that nobody can do anything about: a VM loses its power.
type cable struct {
	lbvm.Attachment
	log logr.Logger
}

// Unplug implements guest.Cable.
func (c cable) Unplug() {
	if err := c.Remove(); err != nil {
		c.log.Error(err, "guest is not all gone", "guest", c.String())
	}
}

// Start implements fabric.GuestRuntime.
func (r *Runtime) Start(ctx context.Context, m fabric.Machine, report func(fabric.Report)) (fabric.Guest, error) {
	return r.guests.Start(ctx, guest.Machine{
		GUID: m.GUID, Name: m.Name, OS: m.OS, KubernetesVersion: m.KubernetesVersion, Fault: m.Fault,
		MACs: m.MACs, Seed: m.Seed, DiskDir: m.DiskDir,
	}, func(told guest.Report) {
		report(fabric.Report{Addresses: told.Addresses, Console: told.Console})
	}), nil
}
