package conditions_test

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

const (
	young = 2 * time.Second
	words = 10 * time.Second
)

// patient is a patience, and a pool that was made long ago and waits.
type patient struct {
	*conditions.Patience
	clock *clocktesting.FakePassiveClock
	pool  *capstanv1.NodePool
}

func newPatient() *patient {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	p := &patient{Patience: &conditions.Patience{Clock: clock, Young: young, Words: words}, clock: clock, pool: newPool()}
	p.pool.CreationTimestamp = metav1.NewTime(clock.Now().Add(-time.Hour))
	waiting("0 of 3")(p.pool)
	return p
}

func (p *patient) wait(d time.Duration) { p.clock.SetTime(p.clock.Now().Add(d)) }

// left is how long a change can wait.
func (p *patient) left(t *testing.T, change func(*capstanv1.NodePool)) time.Duration {
	t.Helper()
	after := p.pool.DeepCopy()
	change(after)
	left, err := p.Left(p.pool, after)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return left
}

func TestOtherWordsOfTheSameWaitAreKeptBackForAWhile(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
	p.wait(4 * time.Second)
	g.Expect(p.left(t, waiting("0 of 3; vm-2 boots"))).To(Equal(words-4*time.Second), "others do not begin it anew")
	p.wait(6 * time.Second)
	g.Expect(p.left(t, waiting("0 of 3; vm-3 boots"))).To(BeZero())
	g.Expect(p.left(t, waiting("0 of 3; vm-4 boots"))).To(Equal(words), "what comes after that is kept back again")
}

func TestWordsThatAreTakenBackAreForgotten(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
	p.wait(time.Second)
	g.Expect(p.left(t, func(*capstanv1.NodePool) {})).To(BeZero())
	p.wait(time.Second)
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
}

func TestEachObjectHasItsOwnTime(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
	p.wait(words)
	p.pool.UID = types.UID("another")
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
}

func TestWhatIsNewsIsToldAtOnce(t *testing.T) {
	for what, change := range map[string]func(*capstanv1.NodePool){
		"that it is ready":           func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "3 of 3") },
		"that it waits for others":   func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "WaitingForControlPlane", "0 of 3") },
		"that something is wrong":    func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "ImageNotFound", "0 of 3") },
		"that it is not known":       func(p *capstanv1.NodePool) { conditions.Unknown(p, "Ready", "WaitingForMachines", "0 of 3") },
		"that the spec was heard of": func(p *capstanv1.NodePool) { p.Generation++; waiting("0 of 3; vm-1 boots")(p) },
		"a count, with other words":  func(p *capstanv1.NodePool) { p.Status.ReadyReplicas = 1; waiting("1 of 3")(p) },
		"another condition":          func(p *capstanv1.NodePool) { conditions.False(p, "MachinesReady", "WaitingForMachines", "0 of 3") },
	} {
		t.Run(what, func(t *testing.T) {
			g, p := NewWithT(t), newPatient()
			g.Expect(p.left(t, change)).To(BeZero())
			g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(Equal(words))
			g.Expect(p.left(t, change)).To(BeZero(), "also while words are kept back")
		})
	}
}

func TestOtherWordsOfWhatIsWrongAreNews(t *testing.T) {
	for reason, status := range map[string]metav1.ConditionStatus{
		"ImageNotFound": metav1.ConditionFalse, "Ready": metav1.ConditionTrue, "WaitingForMachines": metav1.ConditionUnknown,
	} {
		g, p := NewWithT(t), newPatient()
		p.pool.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: status, Reason: reason, Message: "before"}}
		g.Expect(p.left(t, func(p *capstanv1.NodePool) { p.Status.Conditions[0].Message = "now" })).To(BeZero(), reason)
	}
}

func TestAnObjectThatWasJustMadeIsNotToldOfThatItWaits(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.pool.Status.Conditions = nil
	p.pool.CreationTimestamp = metav1.NewTime(p.clock.Now().Add(-500 * time.Millisecond))
	g.Expect(p.left(t, waiting("for its cluster"))).To(Equal(1500 * time.Millisecond))
	g.Expect(p.left(t, func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "ImageNotFound", "no image") })).To(BeZero())
	g.Expect(p.left(t, func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "0 of 0") })).To(BeZero())
	p.wait(1500 * time.Millisecond)
	g.Expect(p.left(t, waiting("for its cluster"))).To(BeZero())
}

func TestAnObjectThatIsMadeInTheFutureIsToldOfAtOnce(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.pool.Status.Conditions = nil
	p.pool.CreationTimestamp = metav1.NewTime(p.clock.Now().Add(time.Second))
	g.Expect(p.left(t, waiting("for its cluster"))).To(BeZero(), "the API server's clock may be ahead by hours")
}

func TestADeletionIsToldAtOnceThoughTheObjectIsYoung(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	now := metav1.NewTime(p.clock.Now())
	p.pool.Status.Conditions, p.pool.CreationTimestamp, p.pool.DeletionTimestamp = nil, now, &now
	g.Expect(p.left(t, func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "Deleting", "3 machines are left") })).To(BeZero())
}

func TestWhatWasWrittenMeanwhileIsNoNews(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	g.Expect(p.left(t, func(p *capstanv1.NodePool) {
		p.Finalizers, p.ResourceVersion = []string{"test"}, "2"
		waiting("0 of 3; vm-1 boots")(p)
	})).To(Equal(words))
}

func TestAStatusIsWrittenInTimeOrLookedAtAgainWhenItIsDue(t *testing.T) {
	for what, tc := range map[string]struct {
		change         func(*capstanv1.NodePool)
		planned, again time.Duration
		writes         int
		failed         error
	}{
		"other words":                      {change: waiting("0 of 3; vm-1 boots"), again: words},
		"other words, and an earlier look": {change: waiting("0 of 3; vm-1 boots"), planned: time.Second, again: time.Second},
		"other words, and a later look":    {change: waiting("0 of 3; vm-1 boots"), planned: time.Minute, again: words},
		"news":                             {change: func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "3 of 3") }, planned: time.Minute, again: time.Minute, writes: 1},
		"nothing":                          {change: func(*capstanv1.NodePool) {}, planned: time.Minute, again: time.Minute},
		"other words, of a failure":        {change: waiting("0 of 3; no answer"), failed: errors.New("no answer"), writes: 1},
	} {
		t.Run(what, func(t *testing.T) {
			g, p := NewWithT(t), newPatient()
			p.pool.Status.Conditions[0].LastTransitionTime = metav1.NewTime(p.clock.Now())
			w := newWorld(t, p.pool)
			before := newPool()
			g.Expect(w.Get(t.Context(), client.ObjectKeyFromObject(before), before)).To(Succeed())
			after := before.DeepCopy()
			tc.change(after)
			result := reconcile.Result{RequeueAfter: tc.planned}
			writer := &conditions.Writer{Client: w, Summary: "Ready"}
			g.Expect(writer.WriteInTime(t.Context(), p.Patience, before, after, &result, tc.failed)).To(Succeed())
			g.Expect(result.RequeueAfter).To(Equal(tc.again))
			g.Expect(w.writes).To(Equal(tc.writes))
		})
	}
}

func TestTheFirstWaitOfAYoungObjectIsToldAtOnceAfterAFailure(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.pool.Status.Conditions = nil
	w := newWorld(t, p.pool)
	before := newPool()
	g.Expect(w.Get(t.Context(), client.ObjectKeyFromObject(before), before)).To(Succeed())
	before.CreationTimestamp = metav1.NewTime(p.clock.Now())
	after := before.DeepCopy()
	waiting("no answer")(after)
	writer := &conditions.Writer{Client: w, Summary: "Ready"}
	g.Expect(writer.WriteInTime(t.Context(), p.Patience, before, after, &reconcile.Result{}, errors.New("no answer"))).To(Succeed())
	g.Expect(w.writes).To(Equal(1))
}

// deletions is how many pools were counted that had gone.
func deletions(t *testing.T) uint64 {
	t.Helper()
	families, err := ctrlmetrics.Registry.Gather()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	var n uint64
	for _, family := range families {
		if family.GetName() != "capstan_phase_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["kind"] == "NodePool" && labels["phase"] == "deleting" {
				n += metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

func TestTheLastRoundOfADeletionIsCountedAtOnce(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.pool.Finalizers = []string{"capstan.dev/test"}
	w := newWorld(t, p.pool)
	g.Expect(w.Delete(t.Context(), p.pool.DeepCopy())).To(Succeed())
	deleting := func(message string) func(*capstanv1.NodePool) {
		return func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "Deleting", "%s", message) }
	}
	g.Expect(w.reconcile(t, deleting("3 machines are left"))).To(Succeed())

	before, counted := w.written.DeepCopy(), deletions(t)
	after := before.DeepCopy()
	after.Finalizers = nil
	deleting("all that was made for the pool is gone")(after)
	result := reconcile.Result{}
	writer := &conditions.Writer{Client: w, Summary: "Ready"}
	g.Expect(writer.WriteInTime(t.Context(), p.Patience, before, after, &result, nil)).To(Succeed())
	g.Expect(deletions(t)).To(Equal(counted + 1))
	g.Expect(result).To(BeZero(), "there is nothing left to look at")
	g.Expect(w.writes).To(Equal(1), "nor to write to")
}

func TestWithoutPatienceAllIsToldAtOnce(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.Patience = nil
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(BeZero())
}
