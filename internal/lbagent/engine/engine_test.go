package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

var errFake = errors.New("not today")

// world is what an Engine deals with, and the order in which it did.
type world struct {
	mu            sync.Mutex
	did           []string
	refuses       string
	away          map[string]bool
	stats         map[haproxy.ID]haproxy.ServerStat
	held          map[netip.Addr]string
	now           time.Time
	waits         chan chan time.Time
	versionsAsked int
	// routed are the VIPs of each plan that keepalived was given.
	routed [][]lbapi.VIP
	// young is how many connections have just begun; each time it is asked, one is over.
	young int
	// frozen is what HAProxy's answers wait for.
	frozen chan struct{}
	// machines answer what is said of their addresses, or else nothing, and asked are those
	// that were asked.
	machines map[string]machine
	asked    []string
	// log is what the Engine says, and stop ends it with all that it has begun.
	log  logtest.Text
	stop func()
}

// machine is how one answers itself.
type machine struct {
	lives bool
	err   error
	// thinks is what its answer waits for.
	thinks chan struct{}
}

func newWorld() *world {
	return &world{
		away: map[string]bool{}, stats: map[haproxy.ID]haproxy.ServerStat{}, held: map[netip.Addr]string{},
		now: time.Unix(1700000000, 0).UTC(), waits: make(chan chan time.Time),
	}
}

func (w *world) set(change func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *world) do(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, what)
	if w.refuses == what {
		return errFake
	}
	return nil
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) After(time.Duration) <-chan time.Time {
	wait := make(chan time.Time, 1)
	go func() { w.waits <- wait }()
	return wait
}

func (w *world) hearsMachine(ctx context.Context, address string) (bool, error) {
	w.mu.Lock()
	w.asked = append(w.asked, address)
	m := w.machines[address]
	w.mu.Unlock()
	if m.thinks != nil {
		select {
		case <-m.thinks:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return m.lives, m.err
}

func (w *world) addresses() (map[netip.Addr]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := map[netip.Addr]string{}
	for a, i := range w.held {
		held[a] = i
	}
	return held, nil
}

// part is the HAProxy or the keepalived of a world.
type part struct {
	*world
	name string
}

func (p part) Prepare(context.Context, lbapi.Plan) (daemon.Change, error) {
	return p, p.do("prepare " + p.name)
}

func (p part) Commit(context.Context) error { return p.do("commit " + p.name) }

func (p part) Version(context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versionsAsked++
	return "1.2.3", nil
}

type balancer struct{ part }

func (b balancer) Stat(ctx context.Context) (map[haproxy.ID]haproxy.ServerStat, error) {
	b.mu.Lock()
	frozen := b.frozen
	b.mu.Unlock()
	if frozen != nil {
		select {
		case <-frozen:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away[b.name] {
		return nil, errFake
	}
	stats := map[haproxy.ID]haproxy.ServerStat{}
	for id, s := range b.stats {
		stats[id] = s
	}
	return stats, nil
}

func (b balancer) Young(context.Context, time.Duration) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, "count connections")
	young := b.young
	b.young = max(young-1, 0)
	return young, nil
}

func (b balancer) Cut(_ context.Context, servers []haproxy.ID) error {
	return b.do(fmt.Sprint("cut ", servers))
}

func (b balancer) CutUnanswered(_ context.Context, servers []haproxy.ID, within time.Duration) (int, error) {
	return 1, b.do(fmt.Sprintf("cut what %s never answered within %s", servers, within))
}

// gate is that of a world.
type gate struct{ *world }

func (g gate) Close(_ context.Context, vips []netip.Addr) error {
	return g.do(fmt.Sprint("close the gate to ", vips))
}

func (g gate) Open(context.Context) error { return g.do("open the gate") }

type router struct{ part }

func (r router) Prepare(ctx context.Context, plan lbapi.Plan) (daemon.Change, error) {
	_, err := r.part.Prepare(ctx, plan)
	return routing{r.part, plan.VIPs}, err
}

type routing struct {
	part
	vips []lbapi.VIP
}

func (r routing) Commit(ctx context.Context) error {
	r.set(func(w *world) { w.routed = append(w.routed, r.vips) })
	return r.part.Commit(ctx)
}

func (r router) Alive() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away[r.name] {
		return errFake
	}
	return nil
}

func (w *world) open() *engine.Engine {
	return engine.New(engine.Options{
		Balancer: balancer{part{w, "HAProxy"}}, Router: router{part{w, "keepalived"}},
		Gate: gate{w}, Lives: w.hearsMachine, Held: w.addresses, Clock: w, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	})
}

func newPlan() lbapi.Plan {
	return lbapi.Plan{
		Generation: 1, Cluster: "shop", Self: "lb-0",
		VIPs:  []lbapi.VIP{{Address: "192.0.2.10", Network: "192.0.2.0/24", VRID: 1}},
		Peers: []lbapi.Peer{{Name: "lb-0", Address: "192.0.2.2", Priority: 100}},
		Frontends: []lbapi.Frontend{{
			Name: "web", VIP: "192.0.2.10", Port: 80, Protocol: lbapi.TCP,
			Backends: []lbapi.Backend{{Name: "a", Address: "192.0.2.20", Port: 80}, {Name: "b", Address: "192.0.2.21", Port: 80, Drain: true}},
			Check:    lbapi.Check{Kind: lbapi.CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1},
		}},
	}
}

// id is of a backend of newPlan.
func id(name string) haproxy.ID {
	web := newPlan().Frontends[0]
	i := slices.IndexFunc(web.Backends, func(b lbapi.Backend) bool { return b.Name == name })
	return haproxy.IDOf(web, web.Backends[i])
}

func TestBothJudgeBeforeEitherChanges(t *testing.T) {
	all := []string{"prepare HAProxy", "prepare keepalived", "commit HAProxy", "commit keepalived"}
	for i, step := range all {
		t.Run(step, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			w.refuses = step
			g.Expect(w.open().Apply(t.Context(), newPlan())).To(MatchError(errFake))
			g.Expect(w.did).To(Equal(all[:i+1]))
		})
	}
	g, w := NewWithT(t), newWorld()
	g.Expect(w.open().Apply(t.Context(), newPlan())).To(Succeed())
	g.Expect(w.did).To(Equal(all))
}

func TestClientsAreAnsweredUntilTheVIPHasGone(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	e := w.open()
	g.Expect(e.Apply(t.Context(), newPlan())).To(Succeed())
	w.did = nil
	resigned := newPlan()
	resigned.VIPs, resigned.Frontends = nil, nil
	g.Expect(e.Apply(t.Context(), resigned)).To(Succeed())
	g.Expect(w.did).To(Equal([]string{"prepare HAProxy", "prepare keepalived", "commit keepalived", "commit HAProxy"}))
}

func TestWhatClientsHaveBegunEndsBeforeTheVIPIsHandedOver(t *testing.T) {
	resigned := newPlan()
	resigned.VIPs, resigned.Frontends = nil, nil
	prepared := []string{"prepare HAProxy", "prepare keepalived"}
	handedOver := []string{"commit keepalived", "commit HAProxy"}
	for name, tt := range map[string]struct {
		with func(*world)
		next lbapi.Plan
		want []string
	}{
		"nothing has begun": {func(*world) {}, resigned, []string{"close the gate to [192.0.2.10]", "count connections", "commit keepalived", "commit HAProxy", "open the gate"}},
		"two requests are under way": {
			func(w *world) { w.young = 2 }, resigned,
			[]string{"close the gate to [192.0.2.10]", "count connections", "count connections", "count connections", "commit keepalived", "commit HAProxy", "open the gate"},
		},
		"the gate cannot be closed": {func(w *world) { w.refuses = "close the gate to [192.0.2.10]" }, resigned, append([]string{"close the gate to [192.0.2.10]"}, handedOver...)},
		"somebody else has the VIP": {func(w *world) { w.held = map[netip.Addr]string{} }, resigned, handedOver},
		"the VIP stays where it is": {func(*world) {}, newPlan(), []string{"commit HAProxy", "commit keepalived"}},
		"requests that do not end":  {func(w *world) { w.young = 1000 }, resigned, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			e := w.open()
			w.held[netip.MustParseAddr("192.0.2.10")] = "eth0"
			g.Expect(e.Apply(t.Context(), newPlan())).To(Succeed())
			w.did = nil
			tt.with(w)
			done := make(chan struct{})
			go func() {
				defer close(done)
				g.Expect(e.Apply(t.Context(), tt.next)).To(Succeed())
			}()
			for waiting := true; waiting; {
				select {
				case wait := <-w.waits:
					w.set(func(w *world) { w.now = w.now.Add(100 * time.Millisecond) })
					wait <- time.Time{}
				case <-done:
					waiting = false
				}
			}
			if tt.want == nil {
				// It has a second.
				g.Expect(w.did).To(HaveLen(len(prepared) + 1 + 11 + len(handedOver) + 1))
				return
			}
			g.Expect(w.did).To(Equal(append(prepared, tt.want...)))
		})
	}
}

func TestAVIPThatComesWhileAnotherGoesIsListenedOnBefore(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	e := w.open()
	old := newPlan()
	stays := lbapi.VIP{Address: "192.0.2.12", Network: "192.0.2.0/24", VRID: 1}
	old.VIPs = append(old.VIPs, stays)
	g.Expect(e.Apply(t.Context(), old)).To(Succeed())
	w.did, w.routed = nil, nil
	next := newPlan()
	next.VIPs[0].Address, next.Frontends[0].VIP = "192.0.2.11", "192.0.2.11"
	next.VIPs = append(next.VIPs, stays)
	g.Expect(e.Apply(t.Context(), next)).To(Succeed())
	g.Expect(w.did).To(Equal([]string{
		"prepare HAProxy", "prepare keepalived", "prepare keepalived", "commit keepalived", "commit HAProxy", "commit keepalived",
	}))
	g.Expect(w.routed).To(Equal([][]lbapi.VIP{{stays}, next.VIPs}))
}

func TestARoleIsWhoHasTheAddressAndWhoCouldTakeIt(t *testing.T) {
	for name, tt := range map[string]struct {
		with func(*world)
		want lbapi.Role
	}{
		"all is well":                  {func(*world) {}, lbapi.RoleStandby},
		"has it":                       {func(w *world) { w.held[netip.MustParseAddr("192.0.2.10")] = "eth0" }, lbapi.RoleActive},
		"has another":                  {func(w *world) { w.held[netip.MustParseAddr("192.0.2.1")] = "eth0" }, lbapi.RoleStandby},
		"no HAProxy":                   {func(w *world) { w.away["HAProxy"] = true }, lbapi.RoleFault},
		"no keepalived":                {func(w *world) { w.away["keepalived"] = true }, lbapi.RoleFault},
		"has it, keepalived is killed": {func(w *world) { w.held[netip.MustParseAddr("192.0.2.10")] = "eth0"; w.away["keepalived"] = true }, lbapi.RoleActive},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			tt.with(w)
			e := w.open()
			g.Expect(e.Apply(t.Context(), newPlan())).To(Succeed())
			seen, _ := e.Observe()
			g.Expect(seen.VIPs).To(Equal([]lbapi.VIPStatus{{Address: "192.0.2.10", Role: tt.want, Since: w.now}}))
			g.Expect(seen.Messages).To(HaveLen(len(w.away)))
		})
	}
}

// watched runs an Engine and returns what tells it that time has passed.
func watched(t *testing.T, w *world) (e *engine.Engine, tick func()) {
	t.Helper()
	e = w.open()
	NewWithT(t).Expect(e.Apply(t.Context(), newPlan())).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		for {
			select {
			case <-w.waits:
			case <-done:
				return
			}
		}
	})
	t.Cleanup(w.stop)
	pending := <-w.waits
	return e, func() {
		w.set(func(w *world) { w.now = w.now.Add(time.Second) })
		pending <- time.Time{}
		pending = <-w.waits
	}
}

func TestNewsAreToldAndNoOthers(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	up := haproxy.ServerStat{Health: lbapi.HealthUp, For: time.Minute}
	w.stats[id("a")], w.stats[id("b")] = up, up
	e, tick := watched(t, w)
	seen, changed := e.Observe()
	began := w.Now().Add(-time.Minute)
	g.Expect(seen.Backends).To(Equal([]lbapi.BackendStatus{
		{Frontend: "web", Backend: "a", Health: lbapi.HealthUp, Since: began},
		{Frontend: "web", Backend: "b", Health: lbapi.HealthUp, Since: began, Draining: true},
	}))

	w.set(func(w *world) {
		w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthUp, For: 2 * time.Minute, Sessions: 7}
	})
	tick()
	g.Expect(changed).NotTo(BeClosed(), "session counts alone are no news")
	seen, _ = e.Observe()
	g.Expect(seen.Backends[0].Sessions).To(Equal(int64(7)))
	g.Expect(seen.Backends[0].Since).To(Equal(began), "HAProxy's clock counts whole seconds")

	w.set(func(w *world) { w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown, Message: "refused"} })
	tick()
	g.Expect(changed).To(BeClosed())
	seen, changed = e.Observe()
	g.Expect(seen.Backends[0]).To(Equal(lbapi.BackendStatus{Frontend: "web", Backend: "a", Health: lbapi.HealthDown, Since: w.Now(), Message: "refused"}))

	w.set(func(w *world) { w.held[netip.MustParseAddr("192.0.2.10")] = "eth0" })
	tick()
	g.Expect(changed).To(BeClosed())
	seen, _ = e.Observe()
	g.Expect(seen.VIPs).To(Equal([]lbapi.VIPStatus{{Address: "192.0.2.10", Role: lbapi.RoleActive, Since: w.Now()}}))
}

func TestAFrozenHAProxyDoesNotKeepBackThatAVIPHasMoved(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthUp, For: time.Minute}
	e, tick := watched(t, w)
	before, _ := e.Observe()
	w.set(func(w *world) {
		w.frozen = make(chan struct{})
		w.held[netip.MustParseAddr("192.0.2.10")] = "eth0"
	})
	tick()
	seen, _ := e.Observe()
	g.Expect(seen.VIPs).To(HaveExactElements(HaveField("Role", lbapi.RoleActive)))
	g.Expect(seen.Backends).To(Equal(before.Backends), "nothing else is known of them")
	g.Expect(seen.Messages).To(BeEmpty())
	w.set(func(w *world) {
		close(w.frozen)
		w.frozen = nil
		w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown}
	})
	tick()
	seen, _ = e.Observe()
	g.Expect(seen.Backends[0].Health).To(Equal(lbapi.HealthDown))
}

func TestAVersionIsAskedForAgainAfterADaemonWasAway(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	e, tick := watched(t, w)
	tick()
	seen, _ := e.Observe()
	g.Expect(seen.Versions).To(Equal(map[string]string{"haproxy": "1.2.3", "keepalived": "1.2.3"}))
	asked := func() (n int) {
		w.set(func(w *world) { n = w.versionsAsked })
		return n
	}
	g.Expect(asked()).To(Equal(2))
	w.set(func(w *world) { w.away["HAProxy"] = true })
	before, unchanged := e.Observe()
	tick()
	tick()
	seen, _ = e.Observe()
	g.Expect(seen).To(Equal(before), "it may be reloading")
	g.Expect(unchanged).NotTo(BeClosed())
	tick()
	seen, _ = e.Observe()
	g.Expect(seen.Versions).To(Equal(map[string]string{"keepalived": "1.2.3"}))
	g.Expect(seen.Messages).To(Equal([]string{"HAProxy: not today"}))
	g.Expect(seen.Backends).To(HaveEach(HaveField("Health", lbapi.HealthUnknown)))
	w.set(func(w *world) { w.away["HAProxy"] = false })
	tick()
	g.Expect(asked()).To(Equal(3))
}

func TestAddressesOfThisMachine(t *testing.T) {
	g := NewWithT(t)
	held, err := engine.Addresses()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(held).To(HaveKeyWithValue(netip.MustParseAddr("127.0.0.1"), Not(BeEmpty())))
}

var _ lbagent.Applier = (*engine.Engine)(nil)
