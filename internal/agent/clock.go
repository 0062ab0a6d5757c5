package agent

import (
	"math"
	"time"
)

// Clock is the time the agent lives in.
type Clock interface {
	Now() time.Time
	// After returns a channel that gets the time once d has passed, and a
	// function that gives the timer up.
	After(d time.Duration) (<-chan time.Time, func())
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

// setBack is by how much a clock may be set back without anything of it: so much is what time servers do to a clock that is
// well.
const setBack = time.Minute

// age is how long ago something was. What lies ahead was written down before the clock was set back, nobody knows how long
// ago: it is old, or a success of then would be one for as long as the clock was wrong.
func age(now, then time.Time) time.Duration {
	switch ago := now.Sub(then); {
	case ago >= 0:
		return ago
	case ago >= -setBack:
		return 0
	default:
		return math.MaxInt64
	}
}
