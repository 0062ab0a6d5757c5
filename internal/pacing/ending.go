package pacing

import (
	"strconv"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// ending is a priority queue that ends whatever it is at. That of controller-runtime
// 0.24.1 hands an object to who waits while it holds its lock; if who waits has left
// because the queue was shut down, it holds the lock for ever, and workers that come
// back to it never end.
//
// Here all who wait are called away before the queue is shut down. This can go with
// the first release that has the cure of controller-runtime's issue 3538: 0.25.0, which
// needs Kubernetes 1.37, or one after 0.24.1.
type ending struct {
	priorityqueue.PriorityQueue[reconcile.Request]

	mu    sync.Mutex
	ended bool
	// waiting is how many are in the queue's Get; nobody is told when it falls to zero.
	waiting int
	nobody  *sync.Cond
}

func newEnding(inner priorityqueue.PriorityQueue[reconcile.Request]) *ending {
	e := &ending{PriorityQueue: inner}
	e.nobody = sync.NewCond(&e.mu)
	return e
}

// Get implements workqueue.TypedInterface.
func (e *ending) Get() (item reconcile.Request, shutdown bool) {
	item, _, shutdown = e.GetWithPriority()
	return item, shutdown
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (e *ending) GetWithPriority() (item reconcile.Request, priority int, shutdown bool) {
	if !e.enter() {
		return reconcile.Request{}, 0, true
	}
	item, priority, shutdown = e.PriorityQueue.GetWithPriority()
	if e.leave() {
		return reconcile.Request{}, 0, true
	}
	return item, priority, shutdown
}

func (e *ending) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.waiting++
	}
	return !e.ended
}

func (e *ending) leave() (ended bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting--; e.waiting == 0 {
		e.nobody.Broadcast()
	}
	return e.ended
}

// ShutDown implements workqueue.TypedInterface.
func (e *ending) ShutDown() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	e.ended = true
	for i := range e.waiting {
		e.PriorityQueue.Add(nothingToDo(i))
	}
	for e.waiting > 0 {
		e.nobody.Wait()
	}
	e.PriorityQueue.ShutDown()
}

// nothingToDo is what who waits is called away with. No object is called so, and none
// of them is ever worked on.
func nothingToDo(i int) (request reconcile.Request) {
	request.Name = "/" + strconv.Itoa(i)
	return request
}

// ShutDownWithDrain implements workqueue.TypedInterface; like the queue within, it
// does not drain.
func (e *ending) ShutDownWithDrain() { e.ShutDown() }

// ShuttingDown implements workqueue.TypedInterface.
func (e *ending) ShuttingDown() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}
