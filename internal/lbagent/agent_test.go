package lbagent_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

var errApply = errors.New("configuration is refused")

// fakeApplier remembers what it was given and fails when told to.
type fakeApplier struct {
	mu      sync.Mutex
	applied []lbapi.Plan
	errs    []error
	seen    lbagent.Observation
	changed chan struct{}
}

func newApplier() *fakeApplier { return &fakeApplier{changed: make(chan struct{})} }

func (f *fakeApplier) Apply(_ context.Context, plan lbapi.Plan) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, plan)
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *fakeApplier) Observe() (lbagent.Observation, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.changed
}

func (f *fakeApplier) report(seen lbagent.Observation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = seen
	close(f.changed)
	f.changed = make(chan struct{})
}

// failNext makes the next calls end with errs.
func (f *fakeApplier) failNext(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = errs
}

// generations are those of the plans that were applied, failed ones included.
func (f *fakeApplier) generations() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []int64{}
	for _, p := range f.applied {
		out = append(out, p.Generation)
	}
	return out
}

// stillClock stands still and lets a test end each wait.
type stillClock struct{ waits chan chan time.Time }

func newClock() *stillClock { return &stillClock{waits: make(chan chan time.Time)} }

func (c *stillClock) Now() time.Time { return time.Unix(1700000000, 0).UTC() }

func (c *stillClock) After(time.Duration) <-chan time.Time {
	wait := make(chan time.Time, 1)
	go func() { c.waits <- wait }()
	return wait
}

func newPlan(generation int64, with ...func(*lbapi.Plan)) lbapi.Plan {
	p := lbapi.Plan{
		Generation: generation, Cluster: "default/shop", Self: "lb-0",
		VIPs:  []lbapi.VIP{{Address: "192.0.2.10", Network: "192.0.2.0/24", VRID: 1}},
		Peers: []lbapi.Peer{{Name: "lb-0", Address: "192.0.2.2", Priority: 100}},
		Frontends: []lbapi.Frontend{{
			Name: "web", VIP: "192.0.2.10", Port: 80, Protocol: lbapi.TCP,
			Check: lbapi.Check{Kind: lbapi.CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1},
		}},
	}
	for _, f := range with {
		f(&p)
	}
	return p
}

func otherContent(p *lbapi.Plan) { p.Frontends[0].Port++ }

func open(t *testing.T, dir string, applier lbagent.Applier, clock lbagent.Clock) *lbagent.Agent {
	t.Helper()
	a, err := lbagent.Open(t.Context(), lbagent.Options{
		Name: "lb-0", Version: "v1", StateDir: dir, Applier: applier, Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return a
}

func classOf(_ lbapi.Status, err error) lbapi.Class { return lbapi.ClassOf(err) }

func TestApplyPutsAPlanInForce(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	a := open(t, t.TempDir(), applier, newClock())
	g.Expect(a.Status().Generation).To(BeZero())
	status, err := a.Apply(t.Context(), newPlan(3))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Generation).To(Equal(int64(3)))
	g.Expect(status.Hash).To(Equal(lbapi.Hash(newPlan(3))))
	g.Expect(status.Applied).NotTo(BeZero())
	g.Expect(status.Versions).To(HaveKeyWithValue("capstan-lb", "v1"))
}

func TestTheSamePlanTwiceIsAppliedOnce(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	a := open(t, t.TempDir(), applier, newClock())
	for range 3 {
		_, err := a.Apply(t.Context(), newPlan(3))
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(applier.generations()).To(Equal([]int64{3}))
}

func TestAPlanThatIsRefusedTouchesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		plan lbapi.Plan
		want lbapi.Class
	}{
		"with a fault":             {newPlan(6, func(p *lbapi.Plan) { p.Frontends[0].Port = 0 }), lbapi.InvalidPlan},
		"older":                    {newPlan(4), lbapi.Stale},
		"older with other content": {newPlan(4, otherContent), lbapi.Stale},
		"same generation, other":   {newPlan(5, otherContent), lbapi.Conflict},
		"for another VM": {newPlan(6, func(p *lbapi.Plan) {
			p.Peers = append(p.Peers, lbapi.Peer{Name: "lb-1", Address: "192.0.2.3", Priority: 99})
			p.Self = "lb-1"
		}), lbapi.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			g, applier, dir := NewWithT(t), newApplier(), t.TempDir()
			a := open(t, dir, applier, newClock())
			_, err := a.Apply(t.Context(), newPlan(5))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(classOf(a.Apply(t.Context(), tt.plan))).To(Equal(tt.want))
			g.Expect(applier.generations()).To(Equal([]int64{5}))
			g.Expect(a.Status().Generation).To(Equal(int64(5)))
			g.Expect(open(t, dir, newApplier(), newClock()).Status().Hash).To(Equal(lbapi.Hash(newPlan(5))))
		})
	}
}

func TestAFailedPlanIsRolledBack(t *testing.T) {
	g, applier, dir := NewWithT(t), newApplier(), t.TempDir()
	a := open(t, dir, applier, newClock())
	_, err := a.Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())

	applier.failNext(errApply)
	_, err = a.Apply(t.Context(), newPlan(2, otherContent))
	g.Expect(lbapi.ClassOf(err)).To(Equal(lbapi.ApplyFailed))
	g.Expect(err).To(MatchError(errApply))
	g.Expect(applier.generations()).To(Equal([]int64{1, 2, 1}))
	g.Expect(a.Status().Generation).To(Equal(int64(1)))
	g.Expect(open(t, dir, newApplier(), newClock()).Status().Generation).To(Equal(int64(1)), "on disk")

	_, err = a.Apply(t.Context(), newPlan(2, otherContent))
	g.Expect(err).NotTo(HaveOccurred(), "the generation is not used up by a failure")
}

// A manager that has stopped waiting hears of the failure all the same, and once the
// next plan is in force no more.
func TestAFailureIsInTheStatus(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	a := open(t, t.TempDir(), applier, newClock())
	_, err := a.Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(t.Context())
	statuses, done := make(chan lbapi.Status, 10), make(chan error, 1)
	go func() {
		done <- a.Watch(ctx, func(s lbapi.Status) error {
			statuses <- s
			return nil
		})
	}()
	g.Expect((<-statuses).Messages).To(BeEmpty())
	applier.failNext(errApply)
	g.Expect(classOf(a.Apply(t.Context(), newPlan(2, otherContent)))).To(Equal(lbapi.ApplyFailed))
	g.Eventually(statuses).Should(Receive(And(
		HaveField("Generation", int64(1)),
		HaveField("Messages", ConsistOf("put plan of generation 2 in force: configuration is refused")),
	)))
	_, err = a.Apply(t.Context(), newPlan(2, otherContent))
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(statuses).Should(Receive(And(HaveField("Generation", int64(2)), HaveField("Messages", BeEmpty()))))
	cancel()
	g.Expect(<-done).To(MatchError(context.Canceled))
}

// One plan that takes long would else be followed by every attempt that was given up.
func TestAFailureIsForgottenWhenItsPlanIsInForceOrNotWantedAnyMore(t *testing.T) {
	messages := func(a *lbagent.Agent) []string { return a.Status().Messages }
	failed := ConsistOf(ContainSubstring("put plan of generation 2 in force"))
	t.Run("the plan before it is wanted again", func(t *testing.T) {
		g, applier := NewWithT(t), newApplier()
		a := open(t, t.TempDir(), applier, newClock())
		_, err := a.Apply(t.Context(), newPlan(1))
		g.Expect(err).NotTo(HaveOccurred())
		applier.failNext(errApply)
		_, err = a.Apply(t.Context(), newPlan(2, otherContent))
		g.Expect(err).To(HaveOccurred())
		g.Expect(messages(a)).To(failed)
		status, err := a.Apply(t.Context(), newPlan(1))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status.Messages).To(BeEmpty())
		g.Expect(applier.generations()).To(Equal([]int64{1, 2, 1}), "it was in force already")
	})
	t.Run("it is put back after a restart at which it failed", func(t *testing.T) {
		g, applier, clock, dir := NewWithT(t), newApplier(), newClock(), t.TempDir()
		_, err := open(t, dir, applier, clock).Apply(t.Context(), newPlan(2))
		g.Expect(err).NotTo(HaveOccurred())
		applier.failNext(errApply, errApply)
		a := open(t, dir, applier, clock)
		_, err = a.Apply(t.Context(), newPlan(2))
		g.Expect(err).To(HaveOccurred())
		g.Expect(messages(a)).To(BeEmpty(), "putting it back has worked")
		g.Expect(a.Status().Generation).To(BeEquivalentTo(2))
	})
}

func TestWhoHasGoneIsNotServed(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	a := open(t, t.TempDir(), applier, newClock())
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := a.Apply(gone, newPlan(1))
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(applier.generations()).To(BeEmpty())
	g.Expect(a.Status().Generation).To(BeZero())
}

func TestAFailedFirstPlanLeavesNothing(t *testing.T) {
	g, applier, dir := NewWithT(t), newApplier(), t.TempDir()
	a := open(t, dir, applier, newClock())
	applier.failNext(errApply)
	g.Expect(classOf(a.Apply(t.Context(), newPlan(1)))).To(Equal(lbapi.ApplyFailed))
	g.Expect(applier.generations()).To(Equal([]int64{1, 0}))
	g.Expect(open(t, dir, newApplier(), newClock()).Status().Generation).To(BeZero())
}

func TestAPlanThatCannotBeKeptIsRolledBack(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	dir := filepath.Join(t.TempDir(), "state")
	a := open(t, dir, applier, newClock())
	_, err := a.Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.RemoveAll(dir)).To(Succeed())
	g.Expect(classOf(a.Apply(t.Context(), newPlan(2)))).To(Equal(lbapi.ApplyFailed))
	g.Expect(applier.generations()).To(Equal([]int64{1, 2, 1}))
	g.Expect(a.Status().Generation).To(Equal(int64(1)))
}

func TestTheLastPlanComesBackAlone(t *testing.T) {
	g, dir := NewWithT(t), t.TempDir()
	plan := lbapi.Canonical(newPlan(7))
	_, err := open(t, dir, newApplier(), newClock()).Apply(t.Context(), plan)
	g.Expect(err).NotTo(HaveOccurred())

	applier := newApplier()
	a := open(t, dir, applier, newClock())
	g.Expect(applier.applied).To(Equal([]lbapi.Plan{plan}))
	g.Expect(a.Status().Generation).To(Equal(int64(7)))
	g.Expect(classOf(a.Apply(t.Context(), newPlan(6)))).To(Equal(lbapi.Stale), "generations count across restarts")
}

func TestADamagedPlanFileDoesNotKeepTheAgentDown(t *testing.T) {
	for name, content := range map[string]string{"cut off": `{"generation": 3`, "with faults": `{"generation": 3}`} {
		t.Run(name, func(t *testing.T) {
			g, dir, applier := NewWithT(t), t.TempDir(), newApplier()
			g.Expect(os.WriteFile(filepath.Join(dir, "plan.json"), []byte(content), 0o600)).To(Succeed())
			a := open(t, dir, applier, newClock())
			g.Expect(applier.generations()).To(BeEmpty())
			g.Expect(a.Status().Messages).To(ContainElement(ContainSubstring("plan.json")))
			status, err := a.Apply(t.Context(), newPlan(4))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(status.Messages).To(BeEmpty())
		})
	}
}

func TestWatchTellsEveryChange(t *testing.T) {
	g, applier := NewWithT(t), newApplier()
	a := open(t, t.TempDir(), applier, newClock())
	ctx, cancel := context.WithCancel(t.Context())
	statuses, done := make(chan lbapi.Status), make(chan error, 1)
	go func() {
		done <- a.Watch(ctx, func(s lbapi.Status) error {
			statuses <- s
			return nil
		})
	}()
	g.Expect((<-statuses).Generation).To(BeZero(), "at once")
	_, err := a.Apply(t.Context(), newPlan(1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect((<-statuses).Generation).To(Equal(int64(1)))
	applier.report(lbagent.Observation{VIPs: []lbapi.VIPStatus{{Address: "192.0.2.10", Role: lbapi.RoleActive}}})
	g.Expect((<-statuses).VIPs).To(HaveLen(1))
	cancel()
	g.Expect(<-done).To(MatchError(context.Canceled))
}
