package service

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"
)

// batchFixture is a batcher whose clock a test moves.
type batchFixture struct {
	*batcher
	clock  *clocktesting.FakeClock
	mu     sync.Mutex
	writes int
	err    error
	behind bool
}

func newBatchFixture(t *testing.T) *batchFixture {
	t.Helper()
	f := &batchFixture{clock: clocktesting.NewFakeClock(time.Unix(1000, 0))}
	f.batcher = newBatcher(f.clock, func(context.Context) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.writes++
		return f.err
	}, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return !f.behind
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

func (f *batchFixture) written() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// setBehind says whether what was written is still to be carried out.
func (f *batchFixture) setBehind(behind bool) {
	f.mu.Lock()
	f.behind = behind
	f.mu.Unlock()
	f.moved.ring()
}

// step lets time pass once somebody waits for it.
func (f *batchFixture) step(g *WithT, d time.Duration) {
	g.Eventually(f.clock.HasWaiters).Should(BeTrue())
	f.clock.Step(d)
}

func TestABurstIsWrittenOnceItIsOver(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	var all sync.WaitGroup
	answers := make(chan error, 200)
	for range 200 {
		all.Go(func() { answers <- f.wait(t.Context()) })
	}
	g.Eventually(func() int { f.batcher.mu.Lock(); defer f.batcher.mu.Unlock(); return len(f.waiters) }).Should(Equal(200))
	g.Expect(f.written()).To(BeZero())
	f.step(g, batchAlone)
	all.Wait()
	close(answers)
	for err := range answers {
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(f.written()).To(Equal(1))
}

func TestWhatFollowsSoonIsGatheredForLonger(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	f.soon()
	f.step(g, batchAlone)
	g.Eventually(f.written).Should(Equal(1))
	f.soon()
	f.step(g, batchAlone)
	f.soon()
	f.step(g, batchQuiet-time.Nanosecond)
	g.Consistently(f.written, "50ms").Should(Equal(1))
	f.step(g, time.Nanosecond)
	g.Eventually(f.written).Should(Equal(2))
}

func TestWhatComesBeforeABatchIsCarriedOutWaitsForThat(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	f.setBehind(true)
	f.soon()
	f.step(g, batchLongest)
	g.Consistently(f.written, "50ms").Should(BeZero())
	f.setBehind(false)
	g.Eventually(f.written).Should(Equal(1))

	// But not for ever.
	f.setBehind(true)
	f.soon()
	f.step(g, batchBehind-time.Nanosecond)
	g.Consistently(f.written, "50ms").Should(Equal(1))
	f.step(g, time.Nanosecond)
	g.Eventually(f.written).Should(Equal(2))
}

func TestWhoeverWaitsForABatchDoesNotWaitForTheOneBefore(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	f.setBehind(true)
	answer := make(chan error, 1)
	go func() { answer <- f.wait(t.Context()) }()
	f.step(g, batchQuiet)
	g.Eventually(answer).Should(Receive(Succeed()))
}

func TestABurstWithoutEndIsWrittenAllTheSame(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	step := batchAlone / 2
	for range batchLongest / step {
		g.Expect(f.written()).To(BeZero())
		f.soon()
		f.step(g, step)
	}
	g.Eventually(f.written).Should(Equal(1))
}

func TestWhatCouldNotBeWrittenIsToldAndTriedAgain(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	broken := errors.New("broken")
	f.mu.Lock()
	f.err = broken
	f.mu.Unlock()
	answer := make(chan error, 1)
	go func() { answer <- f.wait(t.Context()) }()
	f.step(g, batchQuiet)
	g.Expect(<-answer).To(MatchError(broken))
	f.mu.Lock()
	f.err = nil
	f.mu.Unlock()
	f.step(g, batchRetry)
	f.step(g, batchQuiet)
	g.Eventually(f.written).Should(Equal(2))
}

func TestWhoeverWaitsIsLetGoWhenItEnds(t *testing.T) {
	g := NewWithT(t)
	f := newBatchFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- f.wait(ctx) }()
	cancel()
	g.Eventually(answer).Should(Receive(MatchError(context.Canceled)))
}
