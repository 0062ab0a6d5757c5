package service

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// How long changes are gathered before they are written: until none has come for a
// while, and no longer than the longest.
//
//	the first for half a second     10 ms without another one: most come alone
//	others                          50 ms without another one, 500 ms at most
//	while the batch before is       until it is, 1 s at most: what is written meanwhile
//	not carried out                 is carried out no sooner, and costs one more plan
//
// Whoever waits for a batch has it as if the one before were carried out.
const (
	batchAlone   = 10 * time.Millisecond
	batchQuiet   = 50 * time.Millisecond
	batchLongest = 500 * time.Millisecond
	batchBehind  = time.Second
	// batchRetry is when what could not be written is tried again.
	batchRetry = time.Second
)

// batcher writes what many have changed at once.
type batcher struct {
	clock clock.WithTicker
	// write writes all that was changed before it was called.
	write func(context.Context) error
	// carriedOut tells whether all that was written is carried out, and moved rings when
	// that may have changed.
	carriedOut func() bool
	moved      bell

	mu      sync.Mutex
	waiters []chan error
	// first and last are when the first and last of the changes came that are not
	// being written yet; written is when the last batch was.
	first, last, written time.Time
	dirty                bool
	// called holds a token while somebody has called.
	called chan struct{}
}

func newBatcher(clock clock.WithTicker, write func(context.Context) error, carriedOut func() bool) *batcher {
	return &batcher{clock: clock, write: write, carriedOut: carriedOut, called: make(chan struct{}, 1)}
}

// soon has what was changed written, some time soon.
func (b *batcher) soon() { b.enlist(nil) }

// wait has what was changed written and returns how that went.
func (b *batcher) wait(ctx context.Context) error {
	done := make(chan error, 1)
	b.enlist(done)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) enlist(done chan error) {
	now := b.clock.Now()
	b.mu.Lock()
	if !b.dirty {
		b.dirty, b.first = true, now
	}
	b.last = now
	if done != nil {
		b.waiters = append(b.waiters, done)
	}
	b.mu.Unlock()
	select {
	case b.called <- struct{}{}:
	default:
	}
}

// run writes until ctx ends.
func (b *batcher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.called:
		}
		if !b.isDirty() {
			// What called was in the batch before.
			continue
		}
		if !b.gather(ctx) {
			return
		}
		waiters := b.take()
		err := b.write(ctx)
		for _, done := range waiters {
			done <- err
		}
		if err == nil {
			continue
		}
		if !b.rest(ctx, batchRetry) {
			return
		}
		b.soon()
	}
}

// gather waits until it is time to write.
func (b *batcher) gather(ctx context.Context) bool {
	for {
		moved := b.moved.heard()
		wait := b.left()
		if wait <= 0 {
			return true
		}
		if !b.restUnless(ctx, wait, moved) {
			return false
		}
	}
}

// rest returns after a while, false if ctx ends before.
func (b *batcher) rest(ctx context.Context, wait time.Duration) bool {
	return b.restUnless(ctx, wait, nil)
}

// restUnless is rest, but for something that happens meanwhile.
func (b *batcher) restUnless(ctx context.Context, wait time.Duration, moved <-chan struct{}) bool {
	timer := b.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	case <-moved:
		return true
	}
}

// left is how long it is until it is time to write.
func (b *batcher) left() time.Duration {
	now, carriedOut := b.clock.Now(), b.carriedOut()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !carriedOut && len(b.waiters) == 0:
		return b.first.Add(batchBehind).Sub(now)
	case carriedOut && b.first.Sub(b.written) > batchLongest:
		return min(b.last.Add(batchAlone).Sub(now), b.first.Add(batchLongest).Sub(now))
	}
	return min(b.last.Add(batchQuiet).Sub(now), b.first.Add(batchLongest).Sub(now))
}

func (b *batcher) isDirty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dirty
}

func (b *batcher) take() []chan error {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiters := b.waiters
	b.waiters, b.dirty, b.written = nil, false, b.clock.Now()
	return waiters
}
