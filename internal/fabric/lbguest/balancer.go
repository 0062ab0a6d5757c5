package lbguest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// bindRetry is how soon an address that somebody else still has is tried again.
const bindRetry = 50 * time.Millisecond

var errStopped = errors.New("balancer is stopped")

// Balancer carries plans out as HAProxy and keepalived would. It implements
// lbagent.Applier.
type Balancer struct {
	clock   clock.Clock
	wake    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}
	changed *signal
	ears    *engine.Ears
	hearing sync.WaitGroup

	mu        sync.Mutex
	halted    bool
	plan      lbapi.Plan
	routers   *routers
	frontends map[endpoint]*frontend
	// retired are frontends that are no longer in the plan and may still carry
	// connections.
	retired []*frontend
	servers map[backendID]*server
	roles   map[string]lbapi.VIPStatus
	unbound map[endpoint]error
}

// NewBalancer returns a balancer on a segment, which does nothing yet.
func NewBalancer(c clock.Clock, segment *Segment) *Balancer {
	ctx, stop := context.WithCancel(context.Background())
	b := &Balancer{
		clock: c, wake: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{}),
		frontends: map[endpoint]*frontend{}, servers: map[backendID]*server{},
		roles: map[string]lbapi.VIPStatus{}, unbound: map[endpoint]error{}, changed: newSignal(),
		ears: engine.NewEars(segment.hears, c),
	}
	b.routers = newRouters(segment, b.nudge)
	go b.run(ctx)
	b.hearing.Go(func() { b.ears.Run(ctx, b.inForce, b.changed.fire) })
	return b
}

func (b *Balancer) inForce() lbapi.Plan {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.plan
}

// run follows the election, and tries again what could not be bound.
func (b *Balancer) run(ctx context.Context) {
	defer close(b.stopped)
	for {
		var retry <-chan time.Time
		giveUp := func() bool { return true }
		if !b.settle(ctx) {
			timer := b.clock.NewTimer(bindRetry)
			retry, giveUp = timer.C(), timer.Stop
		}
		select {
		case <-ctx.Done():
			giveUp()
			return
		case <-b.wake:
		case <-retry:
		}
		giveUp()
	}
}

// settle makes the balancer answer on the VIPs that it holds now, and on no other.
// It tells whether that could all be done.
func (b *Balancer) settle(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bind(ctx)
	return len(b.unbound) == 0
}

// Apply implements lbagent.Applier.
func (b *Balancer) Apply(ctx context.Context, plan lbapi.Plan) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.halted {
		return errStopped
	}
	old, err := b.replaceServers(plan)
	if err != nil {
		return err
	}
	b.plan = plan
	b.replaceFrontends(plan)
	b.routers.replace(plan)
	before := maps.Clone(b.unbound)
	b.bind(ctx)
	// Nobody is sent to a server any more that is not in the plan: its checks may
	// end.
	for _, s := range old {
		s.close()
		if b.isTakenAway(s.id) {
			s.sessions.end()
		}
	}
	// What could not be bound before is no fault of this plan.
	var errs []error
	for at, err := range b.unbound {
		if before[at] == nil {
			errs = append(errs, fmt.Errorf("bind %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// replaceServers makes the servers of the plan, and returns those that are done
// with.
func (b *Balancer) replaceServers(plan lbapi.Plan) (old []*server, err error) {
	servers := map[backendID]*server{}
	var fresh []*server
	for _, f := range plan.Frontends {
		for _, backend := range f.Backends {
			id := idOf(f, backend)
			before := b.servers[id]
			if before != nil && before.check == f.Check {
				servers[id] = before
				continue
			}
			address := net.JoinHostPort(backend.Address, strconv.Itoa(int(backend.Port)))
			s, err := newServer(b.clock, id, address, f.Check, before, b.changed.fire)
			if err != nil {
				for _, s := range fresh {
					s.close()
				}
				return nil, fmt.Errorf("frontend %s, backend %s: %w", f.Name, backend.Name, err)
			}
			servers[id] = s
			fresh = append(fresh, s)
		}
	}
	for id, s := range b.servers {
		if servers[id] != s {
			old = append(old, s)
		}
	}
	b.servers = servers
	return old, nil
}

// isTakenAway tells whether the plan has the backend's frontend and not the backend.
// Its connections end, as they must before HAProxy lets go of a server. Those of a
// frontend that is gone stay with the process that was reloaded.
func (b *Balancer) isTakenAway(id backendID) bool {
	return b.servers[id] == nil && slices.ContainsFunc(b.plan.Frontends, func(f lbapi.Frontend) bool { return f.Name == id.frontend })
}

func (b *Balancer) replaceFrontends(plan lbapi.Plan) {
	frontends := map[endpoint]*frontend{}
	for _, f := range plan.Frontends {
		at := endpoint{vip: f.VIP, port: f.Port}
		kept := b.frontends[at]
		if kept == nil {
			kept = newFrontend(at, b.nudge)
		}
		kept.routing.Store(newRouting(f, b.servers))
		frontends[at] = kept
	}
	for at, f := range b.frontends {
		if frontends[at] == nil {
			f.close()
			delete(b.unbound, at)
			b.retired = append(b.retired, f)
		}
	}
	b.frontends = frontends
}

// bind brings listeners and connections in line with the roles. The balancer is
// locked.
func (b *Balancer) bind(ctx context.Context) {
	roles, changed := map[string]lbapi.VIPStatus{}, false
	for _, v := range b.plan.VIPs {
		role := b.routers.role(v)
		before, known := b.roles[v.Address]
		if !known || before.Role != role {
			changed = true
			before = lbapi.VIPStatus{Address: v.Address, Role: role, Since: b.clock.Now()}
		}
		roles[v.Address] = before
	}
	changed = changed || len(roles) != len(b.roles)
	b.roles = roles

	for at, f := range b.frontends {
		var err error
		if roles[at.vip].Role == lbapi.RoleActive {
			err = f.open(ctx)
		} else {
			f.sever()
		}
		if (err == nil) != (b.unbound[at] == nil) {
			changed = true
		}
		delete(b.unbound, at)
		if err != nil {
			b.unbound[at] = err
		}
	}
	b.forgetRetired(roles)
	if changed {
		b.changed.fire()
	}
}

// forgetRetired ends the connections of retired frontends whose VIP has gone, and
// drops those that carry none any more.
func (b *Balancer) forgetRetired(roles map[string]lbapi.VIPStatus) {
	kept := b.retired[:0]
	for _, f := range b.retired {
		if roles[f.at.vip].Role != lbapi.RoleActive {
			f.sever()
		}
		if !f.idle() {
			kept = append(kept, f)
		}
	}
	clear(b.retired[len(kept):])
	b.retired = kept
}

// Halt stops everything at once, as when the power goes: connections break, and
// neighbours learn it by silence. When it returns, no address is bound.
func (b *Balancer) Halt() {
	b.stop()
	<-b.stopped
	b.hearing.Wait()
	b.mu.Lock()
	b.halted = true
	frontends := slices.Clone(b.retired)
	for _, f := range b.frontends {
		frontends = append(frontends, f)
	}
	servers := b.servers
	b.mu.Unlock()
	for _, f := range frontends {
		f.sever()
	}
	b.routers.leave()
	for _, s := range servers {
		s.close()
	}
	for _, f := range frontends {
		f.running.Wait()
	}
}

func (b *Balancer) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
