package census

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// mostAtOnce is how many places are asked at a time.
const mostAtOnce = 16

// Hosts reaches the agents of hosts.
type Hosts interface {
	// Agent returns the agent of a host. It does not wait for it to answer.
	Agent(ctx context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error)
}

// Taker takes censuses. It is safe for concurrent use.
type Taker struct {
	// Live reads past the cache.
	Live  client.Reader
	Hosts Hosts
	Clock clock.PassiveClock

	// taking is held by whoever takes a census that others wait for.
	taking sync.Mutex
	mu     sync.Mutex
	latest *Census
}

// Census is what all hosts said.
type Census struct {
	// Began is when the first of them was asked.
	Began time.Time
	// Places are all that there are, those included that could not be asked.
	Places []*Place
}

// Take asks all hosts. That one does not answer is its own matter.
func (t *Taker) Take(ctx context.Context) (*Census, error) {
	list := &capstanv1.HyperVHostList{}
	if err := t.Live.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	c := &Census{Began: t.Clock.Now(), Places: placesOf(list.Items)}
	turns := make(chan struct{}, mostAtOnce)
	var asking sync.WaitGroup
	for _, p := range c.Places {
		asking.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			p.ask(ctx, t.Hosts)
		})
	}
	asking.Wait()
	// Those who were cut off have not been silent.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latest == nil || t.latest.Began.Before(c.Began) {
		t.latest = c
	}
	return c, nil
}

// Since returns a census that began no earlier than a moment, so that many who miss
// something at once ask together. It returns nil while somebody else takes one: whoever
// asks is to ask again soon. What it returns must not be changed.
func (t *Taker) Since(ctx context.Context, moment time.Time) (*Census, error) {
	if c := t.since(moment); c != nil {
		return c, nil
	}
	if !t.taking.TryLock() {
		return nil, nil
	}
	defer t.taking.Unlock()
	if c := t.since(moment); c != nil {
		return c, nil
	}
	return t.Take(ctx)
}

func (t *Taker) since(moment time.Time) *Census {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latest == nil || t.latest.Began.Before(moment) {
		return nil
	}
	return t.latest
}
