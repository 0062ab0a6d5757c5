package engine

import "time"

// firstRest and longestRest are how long it is at least, and at most, until connections are
// ended again: HAProxy is asked far more often than what is wrong with it changes.
const (
	firstRest   = time.Second
	longestRest = 8 * time.Second
)

// rest is what comes between two tries, the longer the more of them have failed.
type rest struct {
	until    time.Time
	failures int
	last     string
}

func (r *rest) isOver(now time.Time) bool { return !now.Before(r.until) }

// begin notes how a try went, and tells whether that is worth a word: a failure is when it
// is new, and now and then while it lasts.
func (r *rest) begin(now time.Time, err error) (worthAWord bool) {
	if err == nil {
		*r = rest{until: now.Add(firstRest)}
		return false
	}
	isNew := err.Error() != r.last
	r.last = err.Error()
	r.until = now.Add(min(firstRest<<min(r.failures, mostMissed), longestRest))
	r.failures++
	return isNew || r.failures%mostMissed == 0
}
