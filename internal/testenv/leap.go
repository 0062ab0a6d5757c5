package testenv

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// LeapingClock is the real time, but for leaps that let time pass at once.
type LeapingClock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Now implements clock.PassiveClock.
func (c *LeapingClock) Now() time.Time { return c.RealClock.Now().Add(time.Duration(c.ahead.Load())) }

// Since implements clock.PassiveClock.
func (c *LeapingClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Leap lets time pass.
func (c *LeapingClock) Leap(d time.Duration) { c.ahead.Add(int64(d)) }
