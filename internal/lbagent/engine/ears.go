package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// hearInterval is how often peers are listened for, and mostUnheard how often in a row
// one may not be heard before it is silent: one that boots is, and one that is slow is
// not.
const (
	hearInterval = time.Second
	mostUnheard  = 3
)

// Ears listen for the other VMs of a plan. Who holds the VIPs hears nobody by VRRP, for
// only the holder speaks.
type Ears struct {
	hears Hearing
	clock lbagent.Clock

	mu    sync.Mutex
	known map[peer]heard
}

// peer is one that has an address: another VM may come to have it.
type peer struct{ name, address string }

// heard is what is known of a peer.
type heard struct {
	missed        int
	known, silent bool
}

// NewEars returns Ears that have heard nothing yet.
func NewEars(hears Hearing, clock lbagent.Clock) *Ears {
	return &Ears{hears: hears, clock: clock}
}

// Run listens for the peers of the plan that is in force until ctx ends, and calls
// changed whenever something is known that was not.
func (e *Ears) Run(ctx context.Context, plan func() lbapi.Plan, changed func()) {
	for {
		if e.Listen(ctx, plan()) {
			changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-e.clock.After(hearInterval):
		}
	}
}

// Listen listens for each of the peers once, and tells whether anything is known then
// that was not.
func (e *Ears) Listen(ctx context.Context, plan lbapi.Plan) (news bool) {
	e.mu.Lock()
	before := e.known
	e.mu.Unlock()
	var mu sync.Mutex
	var all sync.WaitGroup
	now := map[peer]heard{}
	for _, p := range others(plan) {
		all.Go(func() {
			is, err := e.hears(ctx, p.address)
			mu.Lock()
			defer mu.Unlock()
			now[p] = before[p].after(is, err)
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return false
	}
	told := e.Of(plan)
	e.mu.Lock()
	e.known = now
	e.mu.Unlock()
	return !slices.Equal(told, e.Of(plan))
}

// after is what is known after one more look.
func (h heard) after(is bool, err error) heard {
	switch {
	case err != nil:
		return heard{}
	case is:
		return heard{known: true}
	}
	h.missed++
	if h.missed >= mostUnheard {
		h.known, h.silent = true, true
	}
	return h
}

// Of tells of the peers of a plan what is known of them.
func (e *Ears) Of(plan lbapi.Plan) []lbapi.PeerStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []lbapi.PeerStatus
	for _, p := range others(plan) {
		if h := e.known[p]; h.known {
			all = append(all, lbapi.PeerStatus{Name: p.name, Address: p.address, Silent: h.silent})
		}
	}
	return all
}

func others(plan lbapi.Plan) []peer {
	var all []peer
	for _, p := range plan.Peers {
		if p.Name != plan.Self {
			all = append(all, peer{p.Name, p.Address})
		}
	}
	return all
}
