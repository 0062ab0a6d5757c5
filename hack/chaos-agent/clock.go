package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

// wallClock is a clock that somebody can set while the agent runs. What waits for time to
// pass waits as long as ever.
type wallClock struct {
	file string

	mu     sync.Mutex
	offset time.Duration
}

// Now is the time by this clock. An offset that lies in the file is taken over, and the
// file removed: whoever laid it there sees by that that the clock has jumped.
func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, err := os.ReadFile(c.file); err == nil {
		if offset, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil && os.Remove(c.file) == nil {
			c.offset = offset
		}
	}
	return time.Now().Add(c.offset)
}

// After implements agent.Clock.
func (c *wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}
