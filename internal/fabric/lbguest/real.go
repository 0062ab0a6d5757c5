package lbguest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// realBalancer carries plans out with a real HAProxy, by the code that runs in real
// load-balancer VMs. Who holds a VIP is decided on the segment all the same: guests
// share one machine's addresses, so an HAProxy listens only while its guest is
// active.
type realBalancer struct {
	engine  *engine.Engine
	haproxy *haproxy.HAProxy
	process *process
	routers *routers
	log     *slog.Logger
	run     string
	wake    chan struct{}
	stop    context.CancelFunc
	stopped sync.WaitGroup

	// mu is held while HAProxy is changed.
	mu   sync.Mutex
	plan lbapi.Plan

	// vipsMu guards vips, those of the plan that the routers have, and coming, those of
	// the plan that is being carried out.
	vipsMu       sync.Mutex
	vips, coming []lbapi.VIP
}

var _ lbagent.Applier = (*realBalancer)(nil)

func newRealBalancer(opts Options) (_ *realBalancer, err error) {
	// Sockets' paths may not be as long as those of guests' disks.
	run, err := os.MkdirTemp("", "lbguest-")
	if err != nil {
		return nil, fmt.Errorf("make folder for sockets: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(run))
		}
	}()
	dir, err := filepath.Abs(filepath.Join(opts.Dir, "haproxy"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make folder for HAProxy: %w", err)
	}
	b := &realBalancer{log: opts.Log, run: run, wake: make(chan struct{}, 1)}
	b.routers = newRouters(opts.Segment, b.nudge)
	config, master := filepath.Join(dir, "haproxy.cfg"), filepath.Join(run, "master.sock")
	// A guest that boots holds nothing, whatever its file said when its power went.
	if err := os.Remove(config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("begin without a VIP: %w", err)
	}
	b.haproxy, err = haproxy.New(haproxy.Options{
		Settings: haproxy.Settings{
			Socket: filepath.Join(run, "haproxy.sock"), StateFile: filepath.Join(dir, "haproxy.state"), CADir: filepath.Join(dir, "ca"),
			MaxConnections: 2000, HardStopAfter: time.Hour, MaxReloads: 200, Listening: b.isActive,
		},
		Program: opts.HAProxy, ConfigFile: config, MasterSocket: master,
		Patience: 20 * time.Second, Grace: time.Second, Log: opts.Log,
	})
	if err != nil {
		return nil, err
	}
	b.engine = engine.New(engine.Options{
		Balancer: b.haproxy, Router: segmentRouter{b}, Hears: opts.Segment.hears, Lives: engine.Lives, Held: b.held,
		Clock: opts.Clock, Log: opts.Log,
	})
	b.process = startProcess(opts.Log, opts.HAProxy, "-W", "-f", config, "-S", master)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.stopped.Go(func() { b.engine.Run(ctx) })
	b.stopped.Go(func() { b.follow(ctx) })
	return b, nil
}

// Apply implements lbagent.Applier.
func (b *realBalancer) Apply(ctx context.Context, plan lbapi.Plan) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Who is active in a router holds a VIP that joins it from the beginning: it is
	// listened on when the plan is in force, not some time later.
	b.come(plan.VIPs)
	defer b.come(nil)
	if err := b.engine.Apply(ctx, plan); err != nil {
		return err
	}
	b.plan = plan
	return nil
}

func (b *realBalancer) come(vips []lbapi.VIP) {
	b.vipsMu.Lock()
	defer b.vipsMu.Unlock()
	b.coming = vips
}

// Observe implements lbagent.Applier.
func (b *realBalancer) Observe() (lbagent.Observation, <-chan struct{}) { return b.engine.Observe() }

// follow has HAProxy listen where the guest is active, and nowhere else.
func (b *realBalancer) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		if err := b.settle(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("HAProxy does not follow the VIPs", "error", err)
			// Somebody else may have the addresses still.
			time.AfterFunc(bindRetry, b.nudge)
		}
	}
}

func (b *realBalancer) settle(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	change, err := b.haproxy.Prepare(ctx, b.plan)
	if err != nil {
		return err
	}
	if err := change.Commit(ctx); err != nil {
		return err
	}
	if held, err := b.held(); err != nil || len(held) > 0 {
		return err
	}
	// Clients are somebody else's now.
	return b.haproxy.DropReplaced(ctx)
}

func (b *realBalancer) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// held returns the VIPs that the guest holds.
func (b *realBalancer) held() (map[netip.Addr]string, error) {
	b.vipsMu.Lock()
	vips := b.vips
	b.vipsMu.Unlock()
	return b.activeOf(vips), nil
}

// activeOf are those of some VIPs in whose routers the guest is active.
func (b *realBalancer) activeOf(vips []lbapi.VIP) map[netip.Addr]string {
	active := map[netip.Addr]string{}
	for _, v := range vips {
		if address, err := netip.ParseAddr(v.Address); err == nil && b.routers.role(v) == lbapi.RoleActive {
			active[address] = "segment"
		}
	}
	return active
}

func (b *realBalancer) isActive(vip netip.Addr) bool {
	b.vipsMu.Lock()
	vips := slices.Concat(b.vips, b.coming)
	b.vipsMu.Unlock()
	_, ok := b.activeOf(vips)[vip]
	return ok
}

// Halt takes the power of everything at once. When it returns, no address is bound.
func (b *realBalancer) Halt() {
	b.stop()
	b.process.kill()
	b.stopped.Wait()
	b.routers.leave()
	if err := os.RemoveAll(b.run); err != nil {
		b.log.Warn("sockets of HAProxy are still there", "error", err)
	}
}

// segmentRouter is what a guest has for a keepalived.
type segmentRouter struct{ b *realBalancer }

// Prepare implements engine.Router.
func (r segmentRouter) Prepare(_ context.Context, plan lbapi.Plan) (daemon.Change, error) {
	return joining{r.b, plan}, nil
}

// Alive implements engine.Router.
func (r segmentRouter) Alive() error { return nil }

// Version implements engine.Router.
func (r segmentRouter) Version(context.Context) (string, error) { return "simulated", nil }

type joining struct {
	b    *realBalancer
	plan lbapi.Plan
}

// Commit implements daemon.Change.
func (j joining) Commit(context.Context) error {
	j.b.vipsMu.Lock()
	j.b.vips = j.plan.VIPs
	j.b.vipsMu.Unlock()
	j.b.routers.replace(j.plan)
	// Roles may be other than when HAProxy's part was rendered.
	j.b.nudge()
	return nil
}
