package pacing

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Pace says how long an object rests after a round. The zero Pace lets nothing rest.
type Pace struct {
	// PerObject is how long, for each object in the queue that is being worked on or
	// was a moment ago.
	PerObject time.Duration
	// Longest bounds the rest.
	Longest time.Duration
}

// Rest returns how long an object rests after a round while so many are busy.
func (p Pace) Rest(busy int) time.Duration {
	return min(time.Duration(busy)*p.PerObject, p.Longest)
}

// moment is how long an object counts as busy after its round, and how long the
// count of them is good.
const (
	moment     = 5 * time.Second
	recountAll = time.Second
)

// NewQueue returns a maker of queues for controllers. In such a queue an object
// that was just worked on rests: what is added meanwhile comes up when the rest is
// over. What failed comes up when its limiter says, as ever.
func (p Pace) NewQueue() func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		return newQueue(p, clock.RealClock{}, limiter, newEnding(priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) {
			o.RateLimiter = limiter
		})))
	}
}

// queue is a priority queue in which objects rest.
type queue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	pace    Pace
	clock   clock.PassiveClock
	limiter workqueue.TypedRateLimiter[reconcile.Request]

	mu      sync.Mutex
	objects map[reconcile.Request]*object
	// counted is when objects that are no longer busy were forgotten.
	counted time.Time
}

// object is one that is being worked on, or was a moment ago.
type object struct {
	working bool
	// ended is when the round ended, until when the rest is over.
	ended, until time.Time
	// wanted is what was added during the round, nil if nothing was.
	wanted *wanted
}

// wanted is the next round.
type wanted struct {
	at       time.Time
	priority *int
}

func newQueue(pace Pace, passing clock.PassiveClock, limiter workqueue.TypedRateLimiter[reconcile.Request], inner priorityqueue.PriorityQueue[reconcile.Request]) *queue {
	return &queue{PriorityQueue: inner, pace: pace, clock: passing, limiter: limiter, objects: map[reconcile.Request]*object{}}
}

// Add implements workqueue.TypedInterface.
func (q *queue) Add(item reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *queue) AddAfter(item reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *queue) AddRateLimited(item reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *queue) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	for _, item := range items {
		o := o
		if o.RateLimited {
			o.After, o.RateLimited = q.limiter.When(item), false
		}
		if rested, now := q.rested(item, o); now {
			q.PriorityQueue.AddWithOpts(rested, item)
		}
	}
}

// rested returns what to add now, with the rest heeded. During a round nothing is
// added: how long the object is to rest is known only when the round is over.
func (q *queue) rested(item reconcile.Request, o priorityqueue.AddOpts) (priorityqueue.AddOpts, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	known := q.objects[item]
	if known == nil {
		return o, true
	}
	if known.working {
		known.want(now.Add(o.After), o.Priority)
		return o, false
	}
	o.After = max(o.After, known.until.Sub(now))
	return o, true
}

// want joins what is wanted: the earlier time, the higher priority, and none is 0.
// What came up as unimportant asks for its next round as unimportantly, which must
// not hold up a change that came meanwhile.
func (o *object) want(at time.Time, priority *int) {
	if o.wanted == nil {
		o.wanted = &wanted{at: at, priority: priority}
		return
	}
	if at.Before(o.wanted.at) {
		o.wanted.at = at
	}
	if orZero(priority) > orZero(o.wanted.priority) {
		o.wanted.priority = priority
	}
}

func orZero(priority *int) int {
	if priority == nil {
		return 0
	}
	return *priority
}

// Get implements workqueue.TypedInterface.
func (q *queue) Get() (item reconcile.Request, shutdown bool) {
	item, _, shutdown = q.GetWithPriority()
	return item, shutdown
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *queue) GetWithPriority() (item reconcile.Request, priority int, shutdown bool) {
	item, priority, shutdown = q.PriorityQueue.GetWithPriority()
	if !shutdown {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.objects[item] = &object{working: true}
	}
	return item, priority, shutdown
}

// Done implements workqueue.TypedInterface.
func (q *queue) Done(item reconcile.Request) {
	// Once it is done there, somebody else may begin the next round.
	next := q.rest(item)
	q.PriorityQueue.Done(item)
	if next != nil {
		q.PriorityQueue.AddWithOpts(*next, item)
	}
}

// rest lets an object rest, and returns its next round if one is wanted.
func (q *queue) rest(item reconcile.Request) *priorityqueue.AddOpts {
	q.mu.Lock()
	defer q.mu.Unlock()
	known := q.objects[item]
	if known == nil {
		return nil
	}
	now := q.clock.Now()
	next := known.wanted
	known.working, known.wanted, known.ended = false, nil, now
	known.until = now.Add(q.pace.Rest(q.busy(now)))
	if next == nil {
		return nil
	}
	return &priorityqueue.AddOpts{After: max(next.at.Sub(now), known.until.Sub(now)), Priority: next.priority}
}

// busy returns how many objects are being worked on or were a moment ago. Those
// that were not are forgotten, once their rest is over.
func (q *queue) busy(now time.Time) int {
	if now.Sub(q.counted) >= recountAll {
		q.counted = now
		for item, known := range q.objects {
			if !known.working && now.Sub(known.ended) > moment && !known.until.After(now) {
				delete(q.objects, item)
			}
		}
	}
	return len(q.objects)
}
