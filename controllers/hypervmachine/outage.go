package hypervmachine

import (
	"sync"
	"time"
)

// outages remember for how long repair is held already. Hosts that come and go tell
// only since when they are gone this time: a hold that was reckoned from that would
// have no end.
type outages struct {
	mu             sync.Mutex
	hosts, volumes outage
}

// outage is when most of all hosts, or of all volumes, were first gone, and when that was
// last seen.
type outage struct{ began, seen time.Time }

// look says in the evidence what keeps all machines from being replaced, or since when
// that is over. That the time of hosts has run out says nothing of volumes, nor the other way
// round.
func (o *outages) look(e *evidence) {
	o.mu.Lock()
	defer o.mu.Unlock()
	hosts, volumes := hostsGone(e), volumesGone(e)
	// Both are asked, since both remember.
	ofHosts, ofVolumes := o.hosts.hold(e, hosts), o.volumes.hold(e, volumes)
	if e.hold = ofHosts; e.hold == nil {
		e.hold = ofVolumes
	}
	if hosts == nil && volumes == nil {
		e.over = latest([]time.Time{o.hosts.seen, o.volumes.seen})
	}
}

// hold returns why repair is held, or nil. It is not held for ever, because what is gone
// may stay away. Another outage begins only after as long without one as hosts take to
// restart.
func (o *outage) hold(e *evidence, a *alarm) *hold {
	if a == nil {
		return nil
	}
	since := e.reckoned(a.since)
	if since.Sub(o.seen) >= e.timeouts.restart() {
		o.began = since
	}
	o.seen = e.now
	until := o.began.Add(e.timeouts.Hold)
	if !a.over.IsZero() && a.over.Before(until) {
		until = a.over
	}
	if !until.After(e.now) {
		return nil
	}
	return &hold{message: a.message, until: until}
}
