package agent

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// resume takes over the operations of an earlier process, oldest first. run
// returns what carries an operation on, or nil where its seed is missing.
//
// Work on a VM is held until it is certain that it is still wanted: the VM may
// have been deleted through another host of the failover cluster, or buried.
func (e *operations) resume(records []operationRecord, run func(operationRecord) func(context.Context, *operation) outcome) {
	now := e.clock.Now()
	for _, record := range records {
		s := e.use(record.subject())
		s.mu.Lock()
		o := newOperation(record, nil)
		o.shown, o.since = true, now
		e.add(s, o)
		if o.finished() {
			o.outcome = outcome{err: record.Err}
			close(o.done)
			e.keep(s, o)
			if record.Err != nil {
				s.last = o
			}
		} else {
			o.held = record.StageImage == nil
			o.run = run(record)
			e.supersede(s, record)
			s.waiting = o
			e.log.Info("operation is resumed from the journal", "ref", record.Ref, "operation", string(record.Kind),
				hostapi.LogVMID, record.stamp().ID, "held", o.held, "awaitsSeed", o.run == nil)
			e.next(s)
		}
		s.mu.Unlock()
		e.leave(s)
	}
}

// release lets the held operations go on.
func (e *operations) release() {
	for _, r := range e.all() {
		r.subject.mu.Lock()
		r.operation.held = false
		e.next(r.subject)
		r.subject.mu.Unlock()
	}
}

// giveUpHeld ends the work from the journal that a subject waits for. It is for
// VMs that were found to be nowhere: their manager is about to make them anew or
// to let them go, and must not be overtaken by what it wanted before.
func (e *operations) giveUpHeld(s *subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.waiting
	if o == nil || !o.held && o.run != nil {
		return
	}
	s.waiting = nil
	e.end(s, o, outcome{err: hostapi.Errorf(hostapi.NotFound, string(o.record.Kind), "", "given up: the VM did not exist when the agent was asked for it")})
}

// sweep forgets what was kept long enough, and gives up on work that nobody
// asked for again.
func (e *operations) sweep() {
	now := e.clock.Now()
	for _, r := range e.all() {
		s, o := r.subject, r.operation
		s.mu.Lock()
		switch {
		case o.expired(now):
			e.drop(s, o)
		case s.waiting == o && (o.held || o.run == nil) && age(now, o.since) >= keepOperations:
			s.waiting = nil
			e.end(s, o, outcome{err: hostapi.Errorf(hostapi.Transient, string(o.record.Kind), "",
				"given up: the manager has not asked for it again since the agent was restarted")})
		}
		s.mu.Unlock()
	}
}

func (e *operations) all() []reference {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]reference, 0, len(e.refs))
	for _, r := range e.refs {
		all = append(all, r)
	}
	return all
}

// close stops all work and waits until the driver has returned or ctx ends.
// What was under way stays in the journal.
func (e *operations) close(ctx context.Context) error {
	e.mu.Lock()
	e.stopping = true
	e.mu.Unlock()
	e.stop(errStopping)
	ended := make(chan struct{})
	go func() {
		e.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
