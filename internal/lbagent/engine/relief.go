package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// relief ends connections whose clients wait for servers that will not answer them, one
// bunch at a time, and has nobody wait for that.
type relief struct {
	engine   *Engine
	forsaken forsaken
	mute     mute

	// asking is held while machines are asked whether they live, and busy while
	// connections are being ended.
	asking, busy sync.Mutex
	working      sync.WaitGroup
	// looked counts the answers of HAProxy's that were looked at.
	looked int
	// mu guards failed, the servers whose connections could not be looked at, alive, those
	// whose machines have answered, and what comes between two tries.
	mu                    sync.Mutex
	failed, alive         []haproxy.ID
	afterAsking, afterCut rest
}

// look does what is to be done by what is known of the servers now, if HAProxy has said
// something since. While it is at work it does not begin anew: who still waits then is found
// the next time.
func (r *relief) look(ctx context.Context) {
	e := r.engine
	e.mu.Lock()
	stats, plan, answers := e.stats, e.plan, e.answers
	e.mu.Unlock()
	if stats != nil && answers == r.looked {
		return
	}
	r.looked = answers
	now := e.opts.Clock.Now()
	r.mu.Lock()
	r.mute.forget(r.failed)
	r.forsaken.heard(r.alive, now)
	r.failed, r.alive = nil, nil
	r.mu.Unlock()
	silent := r.forsaken.overdue(stats, now)
	if len(silent) > 0 && e.opts.Lives != nil {
		r.begin(&r.asking, &r.afterAsking, now, func() { r.endSilent(ctx, silent, plan) })
	}
	if mute, within := r.mute.found(stats, now); len(mute) > 0 {
		if r.begin(&r.busy, &r.afterCut, now, func() { r.endUnanswered(ctx, mute, within) }) {
			r.mute.remember(mute)
		}
	}
}

// begin has something done, unless it is under way or rests, and tells whether it does.
func (r *relief) begin(turn *sync.Mutex, since *rest, now time.Time, do func()) bool {
	if !turn.TryLock() {
		return false
	}
	r.mu.Lock()
	rested := since.isOver(now)
	r.mu.Unlock()
	if !rested {
		turn.Unlock()
		return false
	}
	r.working.Go(func() {
		defer turn.Unlock()
		do()
	})
	return true
}

// endSilent ends the connections to those silent servers whose machines are silent, too.
func (r *relief) endSilent(ctx context.Context, silent []haproxy.ID, plan lbapi.Plan) {
	alive, gone, err := r.engine.askMachines(ctx, silent, plan)
	r.mu.Lock()
	r.alive = append(r.alive, alive...)
	r.mu.Unlock()
	if len(gone) > 0 {
		r.busy.Lock()
		failed := r.engine.opts.Balancer.Cut(ctx, gone)
		r.busy.Unlock()
		if failed == nil {
			r.engine.opts.Log.Info("connections to silent servers ended", "servers", gone)
		}
		err = errors.Join(err, failed)
	}
	r.ended(&r.afterAsking, "connections to silent servers not ended yet", silent, err)
}

func (r *relief) endUnanswered(ctx context.Context, mute []haproxy.ID, within time.Duration) {
	n, err := r.engine.opts.Balancer.CutUnanswered(ctx, mute, within)
	if n > 0 {
		r.engine.opts.Log.Info("connections ended that servers have accepted and never answered", "servers", mute, "count", n)
	}
	if err != nil {
		r.mu.Lock()
		r.failed = mute
		r.mu.Unlock()
	}
	r.ended(&r.afterCut, "connections not ended yet that servers have accepted and never answered", mute, err)
}

// ended has the next try wait, and tells of a failure that is worth a word.
func (r *relief) ended(since *rest, what string, servers []haproxy.ID, err error) {
	r.mu.Lock()
	worthAWord := since.begin(r.engine.opts.Clock.Now(), err)
	r.mu.Unlock()
	if worthAWord {
		r.engine.opts.Log.Warn(what, "servers", servers, "error", err)
	}
}
