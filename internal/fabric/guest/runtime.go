package guest

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// NIC is a network adapter as its guest has set it up.
type NIC = seed.NIC

// LoadBalancer runs the load balancer of a guest until its cable is unplugged. It
// takes and binds the addresses that it needs itself.
type LoadBalancer func(ctx context.Context, m Machine, nics []NIC, config lbapi.LBConfig) (Cable, error)

// Plug gives a guest that is no load balancer its addresses.
type Plug func(nics []NIC) (Cable, error)

// Options are what a Runtime needs of the world.
type Options struct {
	Clock clock.WithTicker
	Log   logr.Logger
	// Listen opens a listener of a guest on its own address.
	Listen func(address string) (net.Listener, error)
	// Plug may be missing where all addresses are there already.
	Plug Plug
	// LoadBalancer runs the load balancers. Without it such guests fail.
	LoadBalancer LoadBalancer

	// Retry is how long a guest waits before it tries something again.
	Retry time.Duration
	// Heartbeat is how often a kubelet renews its lease.
	Heartbeat time.Duration
	// NodeGrace is how long a Node may be silent before it is not ready, as
	// kube-controller-manager's --node-monitor-grace-period.
	NodeGrace time.Duration
	// SnapshotDelay is how long changes of a cluster are gathered before they are
	// written to its members' disks.
	SnapshotDelay time.Duration
}

// Runtime runs the guests of one fabric process, and holds their clusters.
type Runtime struct {
	Options

	mu sync.Mutex
	// clusters are the workload clusters of which a member is powered on.
	clusters map[clusterKey]*cluster
}

// New returns a runtime without guests.
func New(o Options) *Runtime {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Listen == nil {
		o.Listen = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	if o.Plug == nil {
		o.Plug = func([]NIC) (Cable, error) { return NoCable{}, nil }
	}
	setDefault(&o.Retry, 2*time.Second)
	setDefault(&o.Heartbeat, 10*time.Second)
	setDefault(&o.NodeGrace, 50*time.Second)
	setDefault(&o.SnapshotDelay, 200*time.Millisecond)
	return &Runtime{Options: o, clusters: map[clusterKey]*cluster{}}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Start powers on a machine and returns at once. What becomes of it is told by
// report, which is called from one goroutine at a time and must not block. The
// guest runs until Stop, or until ctx ends.
func (r *Runtime) Start(ctx context.Context, m Machine, report func(Report)) *Guest {
	if report == nil {
		report = func(Report) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &Guest{
		runtime: r, machine: m, cancel: cancel, done: make(chan struct{}),
		console: console{report: report, current: Report{Phase: PhaseBooting}},
	}
	go func() {
		defer close(g.done)
		g.run(ctx)
	}()
	return g
}
