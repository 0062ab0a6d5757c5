package loadbalancer

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// agents are the connections to the agents of all load-balancer VMs, and what is
// known of them. Nothing in it needs to survive the manager.
type agents struct {
	manager *pki.ManagerIdentity
	pins    *trust.Pins
	clock   clock.WithTicker
	// changed tells which LoadBalancer has a VM whose status has changed.
	changed chan event.GenericEvent

	following sync.WaitGroup

	mu     sync.Mutex
	known  map[types.UID]*agent
	closed bool
	// plans are the generations of the newest plans that some VM has served with.
	plans map[client.ObjectKey]int64
}

func newAgents(manager *pki.ManagerIdentity, pins *trust.Pins, clock clock.WithTicker) *agents {
	return &agents{
		manager: manager, pins: pins, clock: clock,
		changed: make(chan event.GenericEvent), known: map[types.UID]*agent{}, plans: map[client.ObjectKey]int64{},
	}
}

// run closes all connections when ctx ends, and returns when nothing is left.
func (a *agents) run(ctx context.Context) error {
	<-ctx.Done()
	a.mu.Lock()
	a.closed = true
	known := a.known
	a.known = map[types.UID]*agent{}
	a.mu.Unlock()
	for _, agent := range known {
		agent.close()
	}
	a.following.Wait()
	return nil
}

// of returns the agent of a VM.
func (a *agents) of(lb client.ObjectKey, vm *capstanv1.VirtualMachine) *agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[vm.UID]
	if !ok {
		known = &agent{all: a, lb: lb, identity: trust.Instance(vm), name: vm.Name, closed: a.closed}
		if !a.closed {
			a.known[vm.UID] = known
		}
	}
	return known
}

// keepOnly drops what is known of the VMs of a load balancer that are no more.
func (a *agents) keepOnly(lb client.ObjectKey, vms []capstanv1.VirtualMachine) {
	present := map[types.UID]bool{}
	for i := range vms {
		present[vms[i].UID] = true
	}
	var gone []*agent
	a.mu.Lock()
	for uid, agent := range a.known {
		if agent.lb == lb && !present[uid] {
			gone = append(gone, agent)
			delete(a.known, uid)
		}
	}
	if len(vms) == 0 {
		delete(a.plans, lb)
	}
	a.mu.Unlock()
	for _, agent := range gone {
		agent.close()
		a.pins.Reread(agent.identity)
	}
}

// generations returns the highest generation that a VM of the load balancer is
// known to carry, and whether one of them refused the present generation.
func (a *agents) generations(lb client.ObjectKey) (highest int64, taken bool) {
	for _, agent := range a.agentsOf(lb) {
		agent.mu.Lock()
		if agent.status != nil {
			highest = max(highest, agent.status.Generation)
		}
		taken = taken || agent.taken
		agent.mu.Unlock()
	}
	return highest, taken
}

// served says that a VM has served with a plan of this generation.
func (a *agents) served(lb client.ObjectKey, generation int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.plans[lb] = generation
}

// lastServed returns the generation of the newest plan that a VM has served with since
// the manager started, or 0.
func (a *agents) lastServed(lb client.ObjectKey) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.plans[lb]
}

// renumbered says that the plan has a new generation, which nobody has refused.
func (a *agents) renumbered(lb client.ObjectKey) {
	for _, agent := range a.agentsOf(lb) {
		agent.mu.Lock()
		if agent.taken {
			agent.taken, agent.failures = false, 0
		}
		agent.mu.Unlock()
	}
}

func (a *agents) agentsOf(lb client.ObjectKey) []*agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []*agent
	for _, agent := range a.known {
		if agent.lb == lb {
			list = append(list, agent)
		}
	}
	return list
}
