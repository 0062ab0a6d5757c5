package addon

import (
	"time"

	"k8s.io/utils/clock"
)

// goOn is how soon a cluster is gone on with whose turn was over. Those that wait by
// then come first.
const goOn = 100 * time.Millisecond

// turn is for how long one round works in a workload cluster: others wait for it, and
// the slowest API servers have no right to more of it than the rest. Whoever asks does
// one thing before, so that every turn brings something on.
type turn struct {
	clock clock.PassiveClock
	until time.Time
}

func (t turn) over() bool { return !t.clock.Now().Before(t.until) }

// half is for those who would take all of it, and leave nothing to who comes after them.
func (t turn) half() turn {
	now := t.clock.Now()
	return turn{t.clock, now.Add(t.until.Sub(now) / 2)}
}
