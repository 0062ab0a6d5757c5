package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	// answerWithin is how long a call waits for its work before it is answered
	// with an operation.
	answerWithin = time.Second
	// keepOperations is how long an operation is known after its end, and how
	// long one from the journal waits to be asked for again.
	keepOperations = time.Hour
	// keepEnded is how many ended operations are known of one VM or image.
	keepEnded = 8
	// successIsTrueFor is how long a VM or image is reported as it was when the
	// work on it ended.
	successIsTrueFor = 30 * time.Second
)

var (
	errStopping   = errors.New("the agent is stopping")
	errSuperseded = errors.New("superseded")
)

// operations runs work apart from the calls that ask for it.
type operations struct {
	journal *journal
	clock   Clock
	newRef  func() string
	log     *slog.Logger

	ctx  context.Context
	stop context.CancelCauseFunc
	work sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	subjects map[string]*subject
	refs     map[string]reference
}

type reference struct {
	operation *operation
	subject   *subject
}

func newOperations(j *journal, clock Clock, newRef func() string, log *slog.Logger) *operations {
	ctx, stop := context.WithCancelCause(context.Background())
	return &operations{
		journal: j, clock: clock, newRef: newRef, log: log, ctx: ctx, stop: stop,
		subjects: map[string]*subject{}, refs: map[string]reference{},
	}
}

// use returns the subject of a name, which the caller must leave.
func (e *operations) use(name string) *subject {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.subjects[name]
	if s == nil {
		s = &subject{name: name, lock: make(chan struct{}, 1)}
		e.subjects[name] = s
	}
	s.users++
	return s
}

func (e *operations) leave(s *subject) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.users--
	if s.users == 0 {
		delete(e.subjects, s.name)
	}
}

// add makes an operation findable. It uses its subject until it is dropped.
func (e *operations) add(s *subject, o *operation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.users++
	e.refs[o.record.Ref] = reference{operation: o, subject: s}
}

// drop forgets an operation.
func (e *operations) drop(s *subject, o *operation) {
	e.mu.Lock()
	_, known := e.refs[o.record.Ref]
	delete(e.refs, o.record.Ref)
	e.mu.Unlock()
	if !known {
		return
	}
	if s.last == o {
		s.last = nil
	}
	s.ended = slices.DeleteFunc(s.ended, func(x *operation) bool { return x == o })
	if err := e.journal.removeOperation(o.record.Ref); err != nil {
		e.log.Error("an ended operation stays in the journal", "ref", o.record.Ref, "error", err)
	}
	e.leave(s)
}

// request is work that a caller asks for.
type request struct {
	// id is the manager's, for logs. It is "" for what the agent does by itself.
	id     string
	record operationRecord
	run    func(ctx context.Context, o *operation) outcome
	// onlyIfIdle gives the request up if the subject has work already.
	onlyIfIdle bool
	// fresh means that the outcome of earlier work is no answer.
	fresh bool
}

// submit joins the operation that does what is asked, or begins one. It returns
// nil where onlyIfIdle gave up.
func (e *operations) submit(s *subject, r request) (*operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.onlyIfIdle && s.current() != nil {
		return nil, nil
	}
	digest := r.record.Digest
	switch {
	case s.waiting != nil && s.waiting.record.Digest == digest:
		o := s.waiting
		o.run, o.held, o.requestID = r.run, false, r.id
		e.next(s)
		return o, nil
	case s.running != nil && s.running.record.Digest == digest:
		e.supersede(s, r.record)
		return s.running, nil
	case !r.fresh && s.current() == nil && s.last != nil && s.last.record.Digest == digest && e.stillTrue(s.last):
		return s.last, nil
	}
	return e.begin(s, r)
}

func (e *operations) begin(s *subject, r request) (*operation, error) {
	r.record.Ref, r.record.Started = e.newRef(), e.clock.Now().UTC()
	o := newOperation(r.record, r.run)
	o.requestID = r.id
	if e.isStopping() {
		return nil, hostapi.Errorf(hostapi.Transient, string(r.record.Kind), "", "%w", errStopping)
	}
	if err := e.journal.putOperation(o.record); err != nil {
		return nil, hostapi.Errorf(hostapi.Transient, string(r.record.Kind), "", "%w", err)
	}
	e.add(s, o)
	e.supersede(s, r.record)
	s.waiting = o
	if s.running != nil && r.record.Kind == kindDeleteVM {
		// What is about to be deleted need not be finished first.
		s.running.cancel(errSuperseded)
	}
	e.next(s)
	return o, nil
}

// stillTrue tells whether an outcome that nobody was told yet may be handed out
// now. A failure says why the work has to be done again; a success is an
// observation, and those grow old.
func (e *operations) stillTrue(o *operation) bool {
	return o.outcome.err != nil || age(e.clock.Now(), o.record.Finished) < successIsTrueFor
}

func (e *operations) isStopping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping
}

// supersede ends the operation that waits, if there is one.
func (e *operations) supersede(s *subject, by operationRecord) {
	o := s.waiting
	if o == nil {
		return
	}
	s.waiting = nil
	e.end(s, o, outcome{err: hostapi.Errorf(hostapi.Conflict, string(o.record.Kind), "", "%w by a later %s before it began", errSuperseded, by.Kind)})
}

// next starts the operation that waits, if it may start.
func (e *operations) next(s *subject) {
	o := s.waiting
	if o == nil || s.running != nil || o.run == nil || o.held {
		return
	}
	e.mu.Lock()
	stopping := e.stopping
	if !stopping {
		e.work.Add(1)
	}
	e.mu.Unlock()
	if stopping {
		return
	}
	s.waiting, s.running = nil, o
	ctx, cancel := context.WithCancelCause(e.ctx)
	o.cancel = cancel
	run, requestID := o.run, o.requestID
	go func() {
		defer e.work.Done()
		defer cancel(nil)
		e.execute(hostapi.WithRequestID(ctx, requestID), s, o, run)
	}()
}

func (e *operations) execute(ctx context.Context, s *subject, o *operation, run func(context.Context, *operation) outcome) {
	log := logOf(ctx, e.log, o.record.stamp().ID).With("operation", string(o.record.Kind), "subject", s.name, "ref", o.record.Ref)
	log.Debug("operation begins")
	began := e.clock.Now()
	var out outcome
	select {
	case s.lock <- struct{}{}:
		out = run(ctx, o)
		<-s.lock
	case <-ctx.Done():
		out.err = hostapi.Errorf(hostapi.Transient, string(o.record.Kind), "", "%w", context.Cause(ctx))
	}
	log = log.With("duration", e.clock.Now().Sub(began))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	switch cause := context.Cause(ctx); {
	case out.err == nil:
		log.Info("operation ends well")
	case errors.Is(cause, errStopping):
		// The journal keeps it as under way, for the next start.
		log.Info("operation is left to the journal")
		o.outcome = outcome{err: hostapi.Errorf(hostapi.Transient, string(o.record.Kind), "", "%w", cause)}
		close(o.done)
		return
	case errors.Is(cause, errSuperseded):
		out = outcome{err: hostapi.Errorf(hostapi.Conflict, string(o.record.Kind), "", "%w while it was under way", cause)}
		log.Info("operation is superseded")
	default:
		log.Warn("operation fails", "class", string(out.err.Class), "error", out.err)
	}
	e.end(s, o, out)
	s.last = o
	e.next(s)
}

// keep remembers an ended operation. Work that fails again and again must not
// fill the disk with its ends.
func (e *operations) keep(s *subject, o *operation) {
	s.ended = append(s.ended, o)
	if len(s.ended) > keepEnded {
		e.drop(s, s.ended[0])
	}
}

// end records the outcome of an operation. Only what somebody may ask for is
// kept.
func (e *operations) end(s *subject, o *operation, out outcome) {
	o.outcome, o.run = out, nil
	if out.err == nil {
		o.percent.Store(100)
	}
	o.record.Finished, o.record.Err = e.clock.Now().UTC(), out.err
	if o.shown {
		if err := e.journal.putOperation(o.record); err != nil {
			e.log.Error("the end of an operation is not in the journal", "ref", o.record.Ref, "error", err)
		}
		e.keep(s, o)
	} else if err := e.journal.removeOperation(o.record.Ref); err != nil {
		e.log.Error("an ended operation stays in the journal", "ref", o.record.Ref, "error", err)
	}
	close(o.done)
}
