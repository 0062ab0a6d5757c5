package engine

import (
	"context"
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
	// mu guards failed, the servers whose connections could not be looked at, and alive,
	// those whose machines have answered.
	mu            sync.Mutex
	failed, alive []haproxy.ID
}

// look does what is to be done by what is known of the servers now. While it is at work
// it does not begin anew: who still waits then is found the next time.
func (r *relief) look(ctx context.Context) {
	e := r.engine
	e.mu.Lock()
	stats, plan := e.stats, e.plan
	e.mu.Unlock()
	now := e.opts.Clock.Now()
	r.mu.Lock()
	r.mute.forget(r.failed)
	r.forsaken.heard(r.alive, now)
	r.failed, r.alive = nil, nil
	r.mu.Unlock()
	silent := r.forsaken.overdue(stats, now)
	if len(silent) > 0 && e.opts.Lives != nil && r.asking.TryLock() {
		r.working.Go(func() {
			defer r.asking.Unlock()
			r.endSilent(ctx, silent, plan)
		})
	}
	mute, within := r.mute.found(stats, now)
	if len(mute) > 0 && r.busy.TryLock() {
		r.mute.remember(mute)
		r.working.Go(func() {
			defer r.busy.Unlock()
			r.endUnanswered(ctx, mute, within)
		})
	}
}

// endSilent ends the connections to those silent servers whose machines are silent, too.
func (r *relief) endSilent(ctx context.Context, silent []haproxy.ID, plan lbapi.Plan) {
	alive, gone := r.engine.askMachines(ctx, silent, plan)
	r.mu.Lock()
	r.alive = append(r.alive, alive...)
	r.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	r.busy.Lock()
	defer r.busy.Unlock()
	r.tell("connections to silent servers ended", gone, -1, r.engine.opts.Balancer.Cut(ctx, gone))
}

func (r *relief) endUnanswered(ctx context.Context, mute []haproxy.ID, within time.Duration) {
	ended, err := r.engine.opts.Balancer.CutUnanswered(ctx, mute, within)
	r.tell("connections ended that servers have accepted and never answered", mute, ended, err)
	if err != nil {
		r.mu.Lock()
		r.failed = mute
		r.mu.Unlock()
	}
}

func (r *relief) tell(what string, servers []haproxy.ID, ended int, err error) {
	log := r.engine.opts.Log.With("servers", servers)
	switch {
	case err != nil:
		log.Warn("not yet: "+what, "error", err)
	case ended < 0:
		log.Info(what)
	case ended > 0:
		log.Info(what, "count", ended)
	}
}
