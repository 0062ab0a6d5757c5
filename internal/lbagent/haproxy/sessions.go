package haproxy

import (
	"context"
	"slices"
	"sync"
	"time"
)

var statCommand = []string{"show", "stat", "-1", "4", "-1"}

// Stat returns how the servers are doing. Sessions are those of the worker that
// takes new connections and of the workers that it replaced.
func (h *HAProxy) Stat(ctx context.Context) (map[ID]ServerStat, error) {
	answer, err := socket(h.opts.Socket).ask(ctx, statCommand...)
	if err != nil {
		return nil, err
	}
	stats, err := parseStat(answer)
	if err != nil {
		return nil, err
	}
	// A master that replaces itself does not answer for a moment; what its old workers
	// still have is told the next time.
	procs, err := h.processes(ctx)
	if err != nil {
		return stats, nil //nolint:nilerr // the servers are known
	}
	for id, sessions := range h.old.of(procs.old, func(pid int) (map[ID]ServerStat, error) { return h.statOf(ctx, pid) }) {
		if now, ok := stats[id]; ok {
			now.Sessions += sessions
			stats[id] = now
		}
	}
	return stats, nil
}

func (h *HAProxy) statOf(ctx context.Context, pid int) (map[ID]ServerStat, error) {
	answer, err := h.inWorker(ctx, pid, statCommand...)
	if err != nil {
		return nil, err
	}
	return parseStat(answer)
}

// oldInterval is how long what replaced workers said is good: they only lose sessions,
// and there may be many of them.
const oldInterval = 2 * time.Second

// oldSessions is what replaced workers still carry. They are asked when others have
// been replaced or have ended, which moves sessions, and else now and then.
type oldSessions struct {
	now func() time.Time

	mu       sync.Mutex
	workers  []int
	asked    time.Time
	sessions map[ID]int64
}

// forget has the workers asked anew the next time.
func (o *oldSessions) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = time.Time{}
}

// of returns the sessions of all these workers together.
func (o *oldSessions) of(workers []int, ask func(pid int) (map[ID]ServerStat, error)) map[ID]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.Equal(workers, o.workers) && o.now().Sub(o.asked) < oldInterval {
		return o.sessions
	}
	sum := map[ID]int64{}
	for _, pid := range workers {
		// A worker that has just ended has no sessions.
		stats, err := ask(pid)
		if err != nil {
			continue
		}
		for id, s := range stats {
			sum[id] += s.Sessions
		}
	}
	o.workers, o.asked, o.sessions = slices.Clone(workers), o.now(), sum
	return sum
}
