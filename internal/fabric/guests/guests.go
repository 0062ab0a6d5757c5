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
}

// Runtime is a fabric.GuestRuntime of simulated machines.
type Runtime struct {
	guests *guest.Runtime
}

var _ fabric.GuestRuntime = (*Runtime)(nil)

// New returns a runtime whose load balancers hear each other.
func New(opts Options) *Runtime {
	segment := lbguest.NewSegment(opts.Clock)
	log := slog.New(logr.ToSlogHandler(opts.Log))
	return &Runtime{guests: guest.New(guest.Options{
		Clock: opts.Clock, Log: opts.Log,
		LoadBalancer: func(_ context.Context, m guest.Machine, config lbapi.LBConfig) (func(), error) {
			g, err := lbguest.Start(lbguest.Options{
				Config: config, Dir: filepath.Join(m.DiskDir, "capstan-lb"), Version: opts.Version,
				HAProxy: opts.HAProxy, Segment: segment, Clock: opts.Clock, Log: log.With("vm", m.Name),
			})
			if err != nil {
				return nil, err
			}
			return g.Stop, nil
		},
	})}
}

// Start implements fabric.GuestRuntime.
func (r *Runtime) Start(ctx context.Context, m fabric.Machine, report func(fabric.Report)) (fabric.Guest, error) {
	return r.guests.Start(ctx, guest.Machine{
		GUID: m.GUID, Name: m.Name, OS: m.OS, KubernetesVersion: m.KubernetesVersion,
		MACs: m.MACs, Seed: m.Seed, DiskDir: m.DiskDir,
	}, func(told guest.Report) {
		report(fabric.Report{Addresses: told.Addresses, Console: told.Console})
	}), nil
}
