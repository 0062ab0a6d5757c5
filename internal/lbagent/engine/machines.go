package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// askMachines asks the machine of each of the servers once, however many it has, whether it
// lives. Those of which that cannot be told are in neither answer, and the error says why, as
// those are that the plan does not know any more.
func (e *Engine) askMachines(ctx context.Context, servers []haproxy.ID, plan lbapi.Plan) (alive, gone []haproxy.ID, err error) {
	addresses := map[haproxy.ID]string{}
	for _, f := range plan.Frontends {
		for _, b := range f.Backends {
			addresses[haproxy.IDOf(f, b)] = b.Address
		}
	}
	type answer struct {
		heard bool
		err   error
	}
	answers := map[string]*answer{}
	var all sync.WaitGroup
	for _, id := range servers {
		address, planned := addresses[id]
		if !planned || answers[address] != nil {
			continue
		}
		a := &answer{}
		answers[address] = a
		all.Go(func() { a.heard, a.err = e.opts.Lives(ctx, address) })
	}
	all.Wait()
	for _, id := range servers {
		switch a := answers[addresses[id]]; {
		case a == nil:
		case a.err != nil:
			err = errors.Join(err, fmt.Errorf("ask the machine of server %s whether it lives: %w", id, a.err))
		case a.heard:
			alive = append(alive, id)
		default:
			gone = append(gone, id)
		}
	}
	return alive, gone, err
}
