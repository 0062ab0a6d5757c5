package agent

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// answer is what a call gets: the outcome of the work, or the work itself where
// it takes longer.
type answer struct {
	outcome
	operation *hostapi.Operation
	// seen is the VM before the work under way began, if it was there.
	seen *hostapi.VM
}

// wait waits for an operation as long as a call may last.
func (e *operations) wait(ctx context.Context, s *subject, o *operation) answer {
	timeout, giveUp := e.clock.After(answerWithin)
	defer giveUp()
	select {
	case <-o.done:
	case <-timeout:
	case <-ctx.Done():
		return answer{outcome: outcome{err: hostapi.Errorf(hostapi.Transient, string(o.record.Kind), "", "%w", ctx.Err())}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-o.done:
		return e.tell(s, o)
	default:
		return answer{operation: o.show(s.describe(o)), seen: o.seen}
	}
}

// tell hands out an outcome, which the same request is not told again.
func (e *operations) tell(s *subject, o *operation) answer {
	a := answer{outcome: o.outcome}
	switch {
	case !o.finished():
	case o.shown:
		if s.last == o {
			s.last = nil
		}
	default:
		e.drop(s, o)
	}
	return a
}

// find returns an operation by its reference.
func (e *operations) find(ref string) (hostapi.Operation, bool) {
	e.mu.Lock()
	r, known := e.refs[ref]
	e.mu.Unlock()
	if !known {
		return hostapi.Operation{}, false
	}
	r.subject.mu.Lock()
	defer r.subject.mu.Unlock()
	if r.operation.finished() && r.subject.last == r.operation {
		r.subject.last = nil
	}
	return *r.operation.show(r.subject.describe(r.operation)), true
}

// underWay returns the work that a subject is in. Work from the journal that
// waits to be asked for again is not among it: whoever were told of it would wait
// for its end, and it for them.
func (e *operations) underWay(name string) *hostapi.Operation {
	return e.describe(name, func(s *subject) *operation { return s.running })
}

// planned returns the work that a subject is, or may yet be, in.
func (e *operations) planned(name string) *hostapi.Operation {
	return e.describe(name, (*subject).current)
}

func (e *operations) describe(name string, which func(*subject) *operation) *hostapi.Operation {
	e.mu.Lock()
	s := e.subjects[name]
	e.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := which(s); o != nil {
		return o.show(s.describe(o))
	}
	return nil
}

// acquire waits for the lock of a subject. Where work holds the lock for longer
// than a call may last, it returns that instead.
func (e *operations) acquire(ctx context.Context, s *subject) (release func(), busy *operation, err error) {
	for {
		timeout, giveUp := e.clock.After(answerWithin)
		select {
		case s.lock <- struct{}{}:
			giveUp()
			return func() { <-s.lock }, nil, nil
		case <-timeout:
			if o := s.runs(); o != nil {
				return nil, o, nil
			}
		case <-ctx.Done():
			giveUp()
			return nil, nil, hostapi.Errorf(hostapi.Transient, "", "", "%s is busy with another call: %w", s.name, ctx.Err())
		}
	}
}

func (s *subject) runs() *operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}
