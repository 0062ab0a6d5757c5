package pacing

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// handedOut is a queue's depth metric. It tells when an object is about to be given
// to who waits for it, while the queue holds its lock.
type handedOut func()

func (handedOut) Inc()   {}
func (h handedOut) Dec() { h() }

// silent is what a queue's other metrics are.
type silent struct{}

func (silent) Inc()            {}
func (silent) Set(float64)     {}
func (silent) Observe(float64) {}

type provider struct{ depth handedOut }

func (p provider) NewDepthMetric(string) workqueue.GaugeMetric                       { return p.depth }
func (provider) NewAddsMetric(string) workqueue.CounterMetric                        { return silent{} }
func (provider) NewLatencyMetric(string) workqueue.HistogramMetric                   { return silent{} }
func (provider) NewWorkDurationMetric(string) workqueue.HistogramMetric              { return silent{} }
func (provider) NewUnfinishedWorkSecondsMetric(string) workqueue.SettableGaugeMetric { return silent{} }
func (provider) NewLongestRunningProcessorSecondsMetric(string) workqueue.SettableGaugeMetric {
	return silent{}
}
func (provider) NewRetriesMetric(string) workqueue.CounterMetric { return silent{} }

// newEndable returns a queue that tells when it is about to hand an object out.
func newEndable(handsOut func()) *ending {
	return newEnding(priorityqueue.New("test", func(o *priorityqueue.Opts[reconcile.Request]) {
		o.MetricProvider = provider{handsOut}
	}))
}

// ends begins to shut a queue down. While the queue holds its lock, that can be begun
// but not ended.
func ends(q priorityqueue.PriorityQueue[reconcile.Request]) {
	go q.ShutDown()
	for !q.ShuttingDown() {
		runtime.Gosched()
	}
}

const soon = 20 * time.Second

func TestAllWorkersEndThoughAnObjectIsBeingHandedOut(t *testing.T) {
	const rounds, workers, untilEnd = 50, 20, 100
	for round := range rounds {
		g := NewWithT(t)
		var q priorityqueue.PriorityQueue[reconcile.Request]
		var handed, added atomic.Int64
		q = newEndable(func() {
			if handed.Add(1) == untilEnd {
				ends(q)
			}
		})
		var working sync.WaitGroup
		for range workers {
			working.Go(func() {
				for shutdown := false; !shutdown; {
					q.Add(request(strconv.FormatInt(added.Add(1), 10)))
					var item reconcile.Request
					if item, shutdown = q.Get(); !shutdown {
						q.Done(item)
					}
				}
			})
		}
		ended := make(chan struct{})
		go func() {
			working.Wait()
			q.Len()
			close(ended)
		}()
		g.Eventually(ended).WithTimeout(soon).Should(BeClosed(), "round %d", round)
	}
}

func TestWhoWaitsForAnObjectIsCalledAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		q := newEndable(nothing)
		const workers = 10
		called := make(chan bool, workers)
		for range workers {
			go func() {
				item, shutdown := q.Get()
				called <- shutdown && item == reconcile.Request{}
			}()
		}
		synctest.Wait()
		g.Expect(called).To(BeEmpty())
		q.ShutDown()
		for range workers {
			g.Expect(<-called).To(BeTrue())
		}
		// That nothing of the queue is left is what the end of the bubble asserts.
	})
}

func TestAQueueThatHasEndedGivesNothingAndTakesAnything(t *testing.T) {
	g := NewWithT(t)
	q := newEndable(nothing)
	q.Add(request("a"))
	item, shutdown := q.Get()
	g.Expect(shutdown).To(BeFalse())
	q.Add(request("b"))
	q.ShutDown()
	q.ShutDownWithDrain()
	g.Expect(q.ShuttingDown()).To(BeTrue())
	q.Done(item)
	q.Add(request("c"))
	_, shutdown = q.Get()
	g.Expect(shutdown).To(BeTrue())
}
