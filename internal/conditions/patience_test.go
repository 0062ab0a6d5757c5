package conditions_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	}{
		"other words":                      {waiting("0 of 3; vm-1 boots"), 0, words, 0},
		"other words, and an earlier look": {waiting("0 of 3; vm-1 boots"), time.Second, time.Second, 0},
		"other words, and a later look":    {waiting("0 of 3; vm-1 boots"), time.Minute, words, 0},
		"news":                             {func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "3 of 3") }, time.Minute, time.Minute, 1},
		"nothing":                          {func(*capstanv1.NodePool) {}, time.Minute, time.Minute, 0},
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
			g.Expect(writer.WriteInTime(t.Context(), p.Patience, before, after, &result)).To(Succeed())
			g.Expect(result.RequeueAfter).To(Equal(tc.again))
			g.Expect(w.writes).To(Equal(tc.writes))
		})
	}
}

func TestWithoutPatienceAllIsToldAtOnce(t *testing.T) {
	g, p := NewWithT(t), newPatient()
	p.Patience = nil
	g.Expect(p.left(t, waiting("0 of 3; vm-1 boots"))).To(BeZero())
}
