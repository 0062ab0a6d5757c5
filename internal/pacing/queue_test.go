package pacing

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// recorder is a queue that hands out what it is told to and notes what is added.
type recorder struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	next  reconcile.Request
	added []priorityqueue.AddOpts
	done  int
}

func (r *recorder) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	for range items {
		r.added = append(r.added, o)
	}
}

func (r *recorder) GetWithPriority() (reconcile.Request, int, bool) { return r.next, 0, false }

func (r *recorder) Done(reconcile.Request) { r.done++ }

// take returns what was added since it was called last.
func (r *recorder) take() []priorityqueue.AddOpts {
	added := r.added
	r.added = nil
	return added
}

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "default", Name: name}}
}

type world struct {
	*recorder
	q     *queue
	clock *clocktesting.FakePassiveClock
}

func newWorld() *world {
	w := &world{recorder: &recorder{next: request("a")}, clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))}
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](40*time.Millisecond, time.Minute)
	w.q = newQueue(Pace{PerObject: 100 * time.Millisecond, Longest: time.Second}, w.clock, limiter, w.recorder)
	return w
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// round works on an object for some time, and does something meanwhile.
func (w *world) round(took time.Duration, meanwhile func()) {
	item, _ := w.q.Get()
	w.pass(took)
	meanwhile()
	w.q.Done(item)
}

func nothing() {}

func after(d time.Duration) []priorityqueue.AddOpts { return []priorityqueue.AddOpts{{After: d}} }

func TestWhatWasNeverWorkedOnComesUpAtOnce(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.q.Add(request("a"))
	g.Expect(w.take()).To(Equal(after(0)))
}

func TestAnObjectThatIsAloneHardlyRests(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.round(time.Minute, nothing)
	g.Expect(w.take()).To(BeEmpty())

	w.pass(40 * time.Millisecond)
	w.q.Add(request("a"))
	w.q.Add(request("b"))
	g.Expect(w.take()).To(Equal(append(after(60*time.Millisecond), after(0)...)), "only who was worked on rests")

	w.pass(60 * time.Millisecond)
	w.q.Add(request("a"))
	g.Expect(w.take()).To(Equal(after(0)))
}

// others works on so many other objects.
func (w *world) others(n int) {
	for i := range n {
		w.next = request(fmt.Sprintf("other-%d", i))
		w.round(0, nothing)
	}
	w.next = request("a")
}

func TestTheMoreAreBusyTheLongerEachRests(t *testing.T) {
	for others, rest := range map[int]time.Duration{
		1: 200 * time.Millisecond, 4: 500 * time.Millisecond, 9: time.Second, 500: time.Second,
	} {
		g := NewWithT(t)
		w := newWorld()
		w.others(others)
		w.round(0, nothing)
		w.q.AddAfter(request("a"), time.Millisecond)
		g.Expect(w.take()).To(Equal(after(rest)), "beside %d others", others)
	}
}

func TestWhoWasBusyLongAgoDoesNotCount(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.others(500)
	w.pass(moment + time.Millisecond)
	w.round(0, func() { w.q.Add(request("a")) })
	g.Expect(w.take()).To(Equal(after(100 * time.Millisecond)))
	g.Expect(w.q.objects).To(HaveLen(1), "nor is it remembered")
}

func TestAnAppointmentAfterTheRestIsKept(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.round(time.Millisecond, func() { w.q.AddAfter(request("a"), time.Hour) })
	g.Expect(w.take()).To(Equal(after(time.Hour)))
}

func TestABurstDuringARoundIsOneRoundAfterTheRest(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.round(20*time.Millisecond, func() {
		w.q.AddWithOpts(priorityqueue.AddOpts{After: time.Hour, Priority: ptr.To(-100)}, request("a"))
		w.q.Add(request("a"))
		w.q.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(1)}, request("a"))
		g.Expect(w.take()).To(BeEmpty())
	})
	g.Expect(w.take()).To(Equal([]priorityqueue.AddOpts{{After: 100 * time.Millisecond, Priority: ptr.To(1)}}))
	g.Expect(w.done).To(Equal(1))
}

func TestAChangeDuringARoundKeepsItsPriority(t *testing.T) {
	change := priorityqueue.AddOpts{}
	appointment := priorityqueue.AddOpts{After: time.Minute, Priority: ptr.To(-100)}
	for name, order := range map[string][]priorityqueue.AddOpts{
		"before an unimportant appointment": {change, appointment},
		"after an unimportant appointment":  {appointment, change},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld()
			w.round(0, func() {
				for _, o := range order {
					w.q.AddWithOpts(o, request("a"))
				}
			})
			added := w.take()
			g.Expect(added).To(HaveLen(1))
			g.Expect(added[0].After).To(Equal(100 * time.Millisecond))
			g.Expect(ptr.Deref(added[0].Priority, 0)).To(Equal(0))
		})
	}
}

func TestAFailureComesUpWhenItsLimiterSaysAndTheRestIsOver(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	fail := func() { w.q.AddRateLimited(request("a")) }
	var waits []time.Duration
	for range 4 {
		w.round(0, fail)
		waits = append(waits, w.take()[0].After)
	}
	g.Expect(waits).To(Equal([]time.Duration{
		100 * time.Millisecond, 100 * time.Millisecond, 160 * time.Millisecond, 320 * time.Millisecond,
	}))
	g.Expect(w.q.limiter.NumRequeues(request("a"))).To(Equal(4))
}

func TestWithoutATimePerObjectNothingRests(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	w.q.pace.PerObject = 0
	w.round(time.Minute, func() { w.q.Add(request("a")) })
	g.Expect(w.take()).To(Equal(after(0)))
}

func TestEveryObjectIsWorkedOnThoughItRests(t *testing.T) {
	g := NewWithT(t)
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second)
	q := Pace{PerObject: time.Millisecond, Longest: 10 * time.Millisecond}.NewQueue()("test", limiter)
	defer q.ShutDown()
	for range 20 {
		q.Add(request("a"))
		item, shutdown := q.Get()
		g.Expect(shutdown).To(BeFalse())
		q.Add(item)
		q.Done(item)
		again, _ := q.Get()
		g.Expect(again).To(Equal(item), "what was added during the round comes up")
		q.Done(again)
	}
}
