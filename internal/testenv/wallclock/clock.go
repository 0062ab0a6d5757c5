package wallclock

import (
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"k8s.io/utils/clock"
)

// Clock tells another time than the machine's. What waits for time to pass waits as long
// as ever.
type Clock struct {
	clock.RealClock
	// File is where an offset such as -26h is laid, of whole seconds.
	File string

	mu     sync.Mutex
	offset time.Duration
}

// Now is the time by this clock. An offset that lies in the file is taken over, and the
// file removed: whoever laid it there sees by that that the clock has jumped.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, err := os.ReadFile(c.File); err == nil {
		if offset, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil && os.Remove(c.File) == nil {
			c.offset = offset
		}
	}
	return set(time.Now(), c.offset)
}

// Since implements clock.PassiveClock.
func (c *Clock) Since(then time.Time) time.Duration { return c.Now().Sub(then) }

// secondsShift is where the seconds of a time begin that has a monotonic reading.
const secondsShift = 30

// set returns what a process reads whose machine's clock was set: the wall clock is
// another, and the monotonic one goes on, by which Go measures how far two readings of
// one process are apart. Adding to a time would move both, and have a process believe
// that it had slept for a day, which setting a clock does not do to any.
func set(now time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&now))
	*wall += uint64(int64(by/time.Second)) << secondsShift
	return now
}
