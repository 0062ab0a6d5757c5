package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// outcome is what came of a driver call.
type outcome struct {
	vm    hostapi.VM
	image hostapi.Image
	err   *hostapi.Error
}

// operation is one piece of work on a subject. Its fields are guarded by its
// subject's mutex, unless they are said not to be.
type operation struct {
	// record never changes until the end; then it gets Finished and Err.
	record operationRecord
	// run does the work. It is nil before the manager has sent the seed again,
	// and after the end: what it holds may be secret.
	run func(ctx context.Context, o *operation) outcome
	// held keeps an operation from the journal waiting until it is certain that
	// the manager still wants it, from since on.
	held  bool
	since time.Time
	// shown tells that somebody has the reference and may ask for it.
	shown bool
	// requestID is of the request that the work was begun for, for logs.
	requestID string
	outcome   outcome
	cancel    context.CancelCauseFunc
	// seen is the VM as it was before the driver call, if it was there.
	seen *hostapi.VM
	// done is closed at the end. It is not guarded.
	done chan struct{}
	// percent is not guarded.
	percent atomic.Int32
}

func newOperation(record operationRecord, run func(ctx context.Context, o *operation) outcome) *operation {
	o := &operation{record: record, run: run, done: make(chan struct{})}
	o.percent.Store(-1)
	return o
}

func (o *operation) finished() bool { return !o.record.Finished.IsZero() }

// progress notes how far the work is.
func (o *operation) progress(done, total int64) {
	if total <= 0 {
		return
	}
	o.percent.Store(int32(min(100, max(0, done*100/total))))
}

// show is the operation as callers see it, who may then ask for it.
func (o *operation) show(what string) *hostapi.Operation {
	o.shown = true
	return &hostapi.Operation{
		Ref: o.record.Ref, What: what, Started: o.record.Started,
		Percent: o.percent.Load(), Done: o.finished(), Err: o.record.Err,
	}
}

// subject is a VM or an image on a volume. One operation at a time runs on it,
// and at most one more waits: the newest that was wanted.
type subject struct {
	name string
	// users is guarded by the mutex of operations; a subject without users is
	// forgotten.
	users int
	// lock is held by whoever calls the driver about the subject.
	lock chan struct{}

	mu      sync.Mutex
	running *operation
	waiting *operation
	// last is the operation that ended last, if nobody was told its outcome.
	last *operation
	// ended are the operations that somebody may still ask for, oldest first.
	ended []*operation
}

// describe says what an operation is doing, or what it waits for.
func (s *subject) describe(o *operation) string {
	switch {
	case o != s.waiting:
		return o.record.What
	case s.running != nil:
		return o.record.What + ": waits for the end of " + s.running.record.What
	case o.run == nil:
		return o.record.What + ": the agent was restarted and waits for the manager to send the seed again"
	default:
		return o.record.What + ": the agent was restarted and waits for the manager to ask again"
	}
}

// current is the operation that the subject is, or will be, worked on by.
func (s *subject) current() *operation {
	if s.running != nil {
		return s.running
	}
	return s.waiting
}

// expired tells whether an ended operation was kept long enough.
func (o *operation) expired(now time.Time) bool {
	return o.finished() && age(now, o.record.Finished) >= keepOperations
}
