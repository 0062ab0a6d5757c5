package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Balancer is the HAProxy that carries the connections.
type Balancer interface {
	Prepare(ctx context.Context, plan lbapi.Plan) (daemon.Change, error)
	Version(ctx context.Context) (string, error)
	Stat(ctx context.Context) (map[haproxy.ID]haproxy.ServerStat, error)
	// Cut ends all connections to servers.
	Cut(ctx context.Context, servers []haproxy.ID) error
	// CutUnanswered ends those connections to servers that clients began less than some
	// time ago and on which no server has said anything, and returns how many there were.
	CutUnanswered(ctx context.Context, servers []haproxy.ID, within time.Duration) (int, error)
	// Young returns how many connections clients began less than some time ago.
	Young(ctx context.Context, within time.Duration) (int, error)
}

// Router is the keepalived that holds the VIPs.
type Router interface {
	Prepare(ctx context.Context, plan lbapi.Plan) (daemon.Change, error)
	Alive() error
	Version(ctx context.Context) (string, error)
}

// Options is what an Engine needs.
type Options struct {
	Balancer Balancer
	Router   Router
	// Gate holds connections back while VIPs are handed over. Without one nothing is.
	Gate Gate
	// Hears listens for the other VMs. Without it nothing is told of them.
	Hears Hearing
	// Lives listens for a machine on which a server is silent. Without it nobody is known
	// to have lost their power, and no connection ends for that.
	Lives Hearing
	// Held returns the addresses that this machine has now.
	Held  func() (map[netip.Addr]string, error)
	Clock lbagent.Clock
	Log   *slog.Logger
}

// Engine implements lbagent.Applier.
type Engine struct {
	opts Options
	ears *Ears

	mu   sync.Mutex
	plan lbapi.Plan
	// missed counts the looks in a row at which HAProxy did not answer.
	missed int
	// balancer is what is wrong with HAProxy, stats is what it last said, and answers counts
	// how often it has said something.
	balancer error
	stats    map[haproxy.ID]haproxy.ServerStat
	answers  int
	seen     lbagent.Observation
	changed  chan struct{}
}

var _ lbagent.Applier = (*Engine)(nil)

// New returns an Engine that has seen nothing yet.
func New(opts Options) *Engine {
	e := &Engine{opts: opts, balancer: errSlow, changed: make(chan struct{})}
	if opts.Hears != nil {
		e.ears = NewEars(opts.Hears, opts.Clock)
	}
	return e
}

// Apply implements lbagent.Applier. A frontend answers before its VIP comes here,
// and until it has gone: HAProxy listens on addresses that the machine does not have.
// Where VIPs come and go, those that go are the first.
func (e *Engine) Apply(ctx context.Context, plan lbapi.Plan) error {
	began := e.opts.Clock.Now()
	balancing, err := e.opts.Balancer.Prepare(ctx, plan)
	if err != nil {
		return err
	}
	routing, err := e.opts.Router.Prepare(ctx, plan)
	if err != nil {
		return err
	}
	steps := []step{{"HAProxy", balancing}, {"keepalived", routing}}
	if less, more, gives := e.without(plan); gives && !more {
		slices.Reverse(steps)
	} else if gives {
		leaving, err := e.opts.Router.Prepare(ctx, less)
		if err != nil {
			return err
		}
		steps = slices.Insert(steps, 0, step{"keepalived", leaving})
	}
	defer e.quieten(ctx, plan)()
	for _, s := range steps {
		if err := s.change.Commit(ctx); err != nil {
			return fmt.Errorf("change %s: %w", s.of, err)
		}
	}
	e.mu.Lock()
	e.plan = plan
	e.mu.Unlock()
	e.opts.Log.Debug("plan carried out", "generation", plan.Generation, "seconds", e.opts.Clock.Now().Sub(began).Seconds())
	e.look(ctx, e.opts.Balancer.Stat)
	return nil
}

func (e *Engine) inForce() lbapi.Plan {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.plan
}

type step struct {
	of     string
	change daemon.Change
}

// without returns the next plan without the VIPs that the plan in force has not, and
// whether there are any. gives tells whether the plan in force has VIPs that the next
// one has not.
func (e *Engine) without(next lbapi.Plan) (less lbapi.Plan, more, gives bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	has := func(p lbapi.Plan, address string) bool {
		return slices.ContainsFunc(p.VIPs, func(v lbapi.VIP) bool { return v.Address == address })
	}
	gives = slices.ContainsFunc(e.plan.VIPs, func(v lbapi.VIP) bool { return !has(next, v.Address) })
	less = next.Clone()
	less.VIPs = slices.DeleteFunc(less.VIPs, func(v lbapi.VIP) bool { return !has(e.plan, v.Address) })
	less.Frontends = slices.DeleteFunc(less.Frontends, func(f lbapi.Frontend) bool { return !has(less, f.VIP) })
	return less, len(less.VIPs) < len(next.VIPs), gives
}

// mostMissed is how often in a row HAProxy may not answer before that is worth a word:
// while it reloads, it may not answer for a moment.
const mostMissed = 3

// lookInterval is how often an Engine looks: often enough that a VIP that has moved
// is told of before anybody wonders.
const lookInterval = 250 * time.Millisecond

// Run looks after HAProxy and keepalived until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	asker := &asker{stat: e.opts.Balancer.Stat}
	defer asker.wait()
	var listening sync.WaitGroup
	defer listening.Wait()
	if e.ears != nil {
		// What is heard is told with the next look.
		listening.Go(func() { e.ears.Run(ctx, e.inForce, func() {}) })
	}
	relief := &relief{engine: e}
	defer relief.working.Wait()
	for {
		e.look(ctx, asker.ask)
		relief.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-e.opts.Clock.After(lookInterval):
		}
	}
}
