package onlooker

import (
	"context"
	"sync"
	"time"
)

// Tally counts the steps of what is looked at, and lets others wait for more.
type Tally struct {
	mu      sync.Mutex
	counted int
	grown   chan struct{}
}

// NewTally returns a tally of nothing.
func NewTally() *Tally { return &Tally{grown: make(chan struct{})} }

// Add counts one more.
func (y *Tally) Add() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.counted++
	close(y.grown)
	y.grown = make(chan struct{})
}

// Count is how many there were.
func (y *Tally) Count() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.counted
}

// Wait returns when so many are counted, or there was none for a while.
func (y *Tally) Wait(ctx context.Context, enough int, patience time.Duration) {
	for {
		y.mu.Lock()
		counted, grown := y.counted, y.grown
		y.mu.Unlock()
		if counted >= enough {
			return
		}
		select {
		case <-grown:
		case <-time.After(patience):
			return
		case <-ctx.Done():
			return
		}
	}
}
