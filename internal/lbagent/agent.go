package lbagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

const (
	// applyTimeout bounds one Apply of the Applier. The manager going away does not
	// cut it short: a plan is carried out or put back, never left half way.
	applyTimeout = 30 * time.Second
	// retryInterval is how soon the last good plan is tried again when it could not
	// be put in force.
	retryInterval = 2 * time.Second
)

// Options is what an Agent needs.
type Options struct {
	// Name is the VM's name, the Self of the plans it takes.
	Name string
	// Version is of the program.
	Version string
	// StateDir is for the Agent alone; it may be the parent of Identity's.
	StateDir string
	Identity *pki.Agent
	Applier  Applier
	Clock    Clock
	Log      *slog.Logger
}

// Agent is the agent of one load-balancer VM.
type Agent struct {
	opts Options
	file planFile

	// applying is held while a plan is put in force; mu only for a look.
	applying sync.Mutex

	mu   sync.Mutex
	last *lbapi.Plan
	hash string
	// inForce is false while last could not be put in force; trouble says why.
	inForce bool
	since   time.Time
	trouble error
	// failed is why the newest plan is not in force, although an older one may be, and
	// failedGeneration which one that is.
	failed           error
	failedGeneration int64
	changed          chan struct{}
}

// Open makes an Agent and puts the last good plan in force. That this fails is
// not an error here: the Agent tries again while it serves, and says so in its
// status. So is a plan file that cannot be read: the manager has the plan too.
func Open(ctx context.Context, opts Options) (*Agent, error) {
	if err := os.MkdirAll(opts.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("open load-balancer agent %s: %w", opts.Name, err)
	}
	a := &Agent{opts: opts, file: planFile{dir: opts.StateDir}, changed: make(chan struct{})}
	last, err := a.file.read()
	if err != nil {
		opts.Log.Error("last good plan is lost, waiting for the manager", "error", err)
		a.trouble = err
		return a, nil
	}
	if last != nil {
		a.last, a.hash = last, lbapi.Hash(*last)
		a.applying.Lock()
		defer a.applying.Unlock()
		_ = a.resume(ctx)
	}
	return a, nil
}

// Apply puts a plan in force and returns the status after it.
func (a *Agent) Apply(ctx context.Context, plan lbapi.Plan) (lbapi.Status, error) {
	if faults := lbapi.Validate(plan); len(faults) > 0 {
		return lbapi.Status{}, lbapi.InvalidPlanError(faults)
	}
	if plan.Self != a.opts.Name {
		return lbapi.Status{}, lbapi.Errorf(lbapi.Conflict, "plan is for %s, this is %s", plan.Self, a.opts.Name)
	}
	a.applying.Lock()
	defer a.applying.Unlock()
	// Who has gone meanwhile asks again, and should not find others of its own before it.
	if err := ctx.Err(); err != nil {
		return lbapi.Status{}, err
	}
	if err := a.advance(context.WithoutCancel(ctx), lbapi.Canonical(plan)); err != nil {
		return lbapi.Status{}, err
	}
	return a.Status(), nil
}

// advance decides by generation and content whether there is anything to do.
func (a *Agent) advance(ctx context.Context, plan lbapi.Plan) error {
	last, hash := a.last, lbapi.Hash(plan)
	if last != nil {
		switch {
		case plan.Generation < last.Generation:
			return lbapi.Errorf(lbapi.Stale, "plan of generation %d is older than generation %d in force", plan.Generation, last.Generation)
		case plan.Generation == last.Generation && hash != a.hash:
			return lbapi.Errorf(lbapi.Conflict, "generation %d is in force with another content", plan.Generation)
		case plan.Generation == last.Generation && a.isInForce():
			// It is what is wanted now: nobody wants what failed after it any more.
			a.forgetFailure()
			return nil
		}
	}
	err := a.carryOut(ctx, plan)
	if err == nil && (last == nil || plan.Generation != last.Generation) {
		err = a.file.write(plan)
	}
	if err != nil {
		err = fmt.Errorf("put plan of generation %d in force: %w", plan.Generation, err)
		a.opts.Log.Error("plan fails", "generation", plan.Generation, "error", err)
		// A caller who had less patience than this took hears of it by the status.
		a.update(func() { a.failed, a.failedGeneration = err, plan.Generation })
		return lbapi.Errorf(lbapi.ApplyFailed, "%w", errors.Join(err, a.putBack(ctx)))
	}
	a.opts.Log.Info("plan in force", "generation", plan.Generation, "frontends", len(plan.Frontends), "peers", len(plan.Peers))
	a.update(func() {
		a.last, a.hash, a.inForce, a.since = &plan, hash, true, a.opts.Clock.Now()
		a.trouble, a.failed = nil, nil
	})
	return nil
}

// putBack puts the last good plan back, or nothing where there is none.
func (a *Agent) putBack(ctx context.Context) error {
	if a.last != nil {
		return a.resume(ctx)
	}
	if err := a.carryOut(ctx, lbapi.Plan{}); err != nil {
		return fmt.Errorf("take everything away again: %w", err)
	}
	return nil
}

// resume puts the last good plan in force.
func (a *Agent) resume(ctx context.Context) error {
	err := a.carryOut(ctx, *a.last)
	if err != nil {
		err = fmt.Errorf("put last good plan of generation %d in force: %w", a.last.Generation, err)
		a.opts.Log.Error("last good plan is not in force", "error", err)
	}
	a.update(func() {
		if err == nil && !a.inForce {
			a.since = a.opts.Clock.Now()
		}
		a.inForce, a.trouble = err == nil, err
		if err == nil && a.failedGeneration == a.last.Generation {
			a.failed = nil
		}
	})
	return err
}

func (a *Agent) carryOut(ctx context.Context, plan lbapi.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	return a.opts.Applier.Apply(ctx, plan.Clone())
}

// retry tries the last good plan again for as long as it is not in force.
func (a *Agent) retry(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.opts.Clock.After(retryInterval):
		}
		a.applying.Lock()
		if a.last != nil && !a.isInForce() {
			_ = a.resume(ctx)
		}
		a.applying.Unlock()
	}
}

func (a *Agent) isInForce() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inForce
}

func (a *Agent) forgetFailure() {
	a.mu.Lock()
	failed := a.failed != nil
	a.mu.Unlock()
	if failed {
		a.update(func() { a.failed = nil })
	}
}

// update changes what Status returns and wakes those who watch it.
func (a *Agent) update(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}
