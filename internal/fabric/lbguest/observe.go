package lbguest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Observe implements lbagent.Applier.
func (b *Balancer) Observe() (lbagent.Observation, <-chan struct{}) {
	changed := b.changed.next()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := lbagent.Observation{Versions: map[string]string{"balancer": "simulated"}}
	for _, v := range b.plan.VIPs {
		status, ok := b.roles[v.Address]
		if !ok {
			continue
		}
		for at := range b.unbound {
			if at.vip == v.Address {
				status.Role = lbapi.RoleFault
			}
		}
		seen.VIPs = append(seen.VIPs, status)
	}
	seen.Peers = b.ears.Of(b.plan)
	for _, f := range b.plan.Frontends {
		for _, backend := range f.Backends {
			s, ok := b.servers[idOf(f, backend)]
			if !ok {
				continue
			}
			status := lbapi.BackendStatus{Frontend: f.Name, Backend: backend.Name, Draining: backend.Drain, Sessions: s.sessions.count()}
			status.Health, status.Since, status.Message = s.state()
			seen.Backends = append(seen.Backends, status)
		}
	}
	for at, err := range b.unbound {
		seen.Messages = append(seen.Messages, fmt.Sprintf("cannot bind %s: %s", at, err))
	}
	slices.Sort(seen.Messages)
	slices.SortFunc(seen.VIPs, func(x, y lbapi.VIPStatus) int { return strings.Compare(x.Address, y.Address) })
	slices.SortFunc(seen.Backends, func(x, y lbapi.BackendStatus) int {
		return cmp.Or(strings.Compare(x.Frontend, y.Frontend), strings.Compare(x.Backend, y.Backend))
	})
	return seen, changed
}

// signal tells any number of waiters that something has changed.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// next returns a channel that the next change closes. It must be taken before what
// may change is read.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
