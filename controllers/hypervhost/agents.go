package hypervhost

import (
	"context"
	"sync"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// Agents reaches the agents of hosts, for this controller and for whoever works
// on the hosts' VMs. It is safe for concurrent use.
type Agents struct {
	Pool *hostclient.Pool
	Pins *trust.Pins
	// Namespace is the manager's own.
	Namespace string

	mu       sync.Mutex
	observed map[string]time.Time
}

// Agent returns the agent of a host. It does not wait for the agent to answer;
// one that was never enrolled is HostUnreachable.
func (a *Agents) Agent(ctx context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return a.client(ctx, host)
}

func (a *Agents) client(ctx context.Context, host *capstanv1.HyperVHost) (*hostclient.Client, error) {
	pin, err := a.Pins.Pin(ctx, trust.HostAgent(a.Namespace, host))
	if err != nil {
		return nil, err
	}
	if pin.IsZero() {
		return nil, hostapi.Errorf(hostapi.HostUnreachable, "", "", "host %s: %w", host.Name, hostapi.ErrNotEnrolled)
	}
	return a.Pool.Get(host.Name, hostclient.Target{Address: host.Spec.Endpoint, Name: host.Name, Pin: pin})
}

// ObservedAt returns when the inventory was asked for that the status of a host
// shows, or zero if that was before this process began. What was made before
// that moment is in it.
func (a *Agents) ObservedAt(host string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.observed[host]
}

func (a *Agents) observe(host string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.observed == nil {
		a.observed = map[string]time.Time{}
	}
	a.observed[host] = at
}

func (a *Agents) forget(host string) {
	a.Pool.Forget(host)
	a.Pins.HostGone(host)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.observed, host)
}
