package outage

import (
	"fmt"
	"sync"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// Hold is why nothing is replaced for now, whatever its cause.
type Hold struct {
	Message string
	// Until is when it is over at the latest.
	Until time.Time
}

// String tells of the hold in a message.
func (h *Hold) String() string {
	return fmt.Sprintf("repair is held: %s; it goes on when that is over, or at %s", h.Message, conditions.ClockTime(h.Until))
}

// Watch remembers for how long repair is held already. Hosts that come and go tell
// only since when they are gone this time: a hold that was reckoned from that would
// have no end. It is safe for concurrent use, and there is one for all of a manager's
// controllers.
type Watch struct {
	timeouts Timeouts

	mu    sync.Mutex
	began time.Time
	// hosts and volumes have a memory each: that the time of hosts has run out says nothing
	// of volumes, nor the other way round.
	hosts, volumes spell
}

// NewWatch returns a Watch that has seen nothing yet. What is zero of the time-outs has its
// default.
func NewWatch(timeouts Timeouts) *Watch { return &Watch{timeouts: timeouts.withDefaults()} }

// Timeouts are how long something must be wrong.
func (w *Watch) Timeouts() Timeouts { return w.timeouts }

// Begin says that somebody looks from now on, unless somebody did before, and returns since
// when. A manager that waits to be elected does not look.
func (w *Watch) Begin(now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began.IsZero() {
		w.began = now
	}
	return w.began
}

// Look returns why nothing is replaced for now, or nil. If nothing is gone, over is when
// that was last otherwise.
func (w *Watch) Look(hosts []capstanv1.HyperVHost, now time.Time) (hold *Hold, over time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ofHosts, ofVolumes := hostsGone(hosts, now, w.timeouts.Restart()), volumesGone(hosts)
	// Both are noted, since both remember.
	hold, second := w.note(&w.hosts, ofHosts, now), w.note(&w.volumes, ofVolumes, now)
	if hold == nil {
		hold = second
	}
	if ofHosts == nil && ofVolumes == nil {
		over = latest(w.hosts.seen, w.volumes.seen)
	}
	return hold, over
}

// spell is when most of all hosts, or of all volumes, were first gone, and when that was
// last seen.
type spell struct {
	began, seen time.Time
	// over tells that they were seen to be back since then, and again how many times in a
	// row that was not for long.
	over  bool
	again int
}

// mostAgain is how many times in a row repair is held anew although what was back went
// again soon. Power that returns may fail again; what fails for ever is no outage.
const mostAgain = 2

// note returns why repair is held, or nil. It is not held for ever, because what is gone
// may stay away. Another outage begins after as long without one as hosts take to
// restart, and, a few times, before that.
func (w *Watch) note(s *spell, a *alarm, now time.Time) *Hold {
	if a == nil {
		s.over = true
		return nil
	}
	// What began before this manager did is reckoned from then on.
	since := latest(a.since, w.began)
	switch {
	case since.Sub(s.seen) >= w.timeouts.Restart():
		s.began, s.again = since, 0
	case s.over && since.After(s.seen) && s.again < mostAgain:
		s.began, s.again = since, s.again+1
	}
	s.over = false
	// Who looks at the same time may have read the clock earlier.
	s.seen = latest(s.seen, now)
	until := s.began.Add(w.timeouts.Hold)
	if !a.over.IsZero() && a.over.Before(until) {
		until = a.over
	}
	if !until.After(now) {
		return nil
	}
	return &Hold{Message: a.message, Until: until}
}
