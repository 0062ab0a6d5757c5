package engine

import (
	"context"
	"sync"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// relief ends connections whose clients wait for servers that will not answer them, one
// bunch at a time, and has nobody wait for that.
type relief struct {
	engine   *Engine
	forsaken forsaken
	mute     mute

	// busy is held while connections are being ended.
	busy    sync.Mutex
	working sync.WaitGroup
	// mu guards failed, the servers whose connections could not be looked at.
	mu     sync.Mutex
	failed []haproxy.ID
}

// look does what is to be done by what is known of the servers now. While it is at work
// it does not begin anew: who still waits then is found the next time.
func (r *relief) look(ctx context.Context) {
	e := r.engine
	e.mu.Lock()
	stats := e.stats
	e.mu.Unlock()
	r.mu.Lock()
	r.mute.forget(r.failed)
	r.failed = nil
	r.mu.Unlock()
	now := e.opts.Clock.Now()
	silent := r.forsaken.overdue(stats, now)
	mute, within := r.mute.found(stats, now)
	if len(silent)+len(mute) == 0 || !r.busy.TryLock() {
		return
	}
	r.mute.remember(mute)
	r.working.Go(func() {
		defer r.busy.Unlock()
		if len(silent) > 0 {
			r.tell("connections to silent servers ended", silent, -1, e.opts.Balancer.Cut(ctx, silent))
		}
		if len(mute) > 0 {
			ended, err := e.opts.Balancer.CutUnanswered(ctx, mute, within)
			r.tell("connections ended that servers have accepted and never answered", mute, ended, err)
			if err != nil {
				r.mu.Lock()
				r.failed = mute
				r.mu.Unlock()
			}
		}
	})
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
