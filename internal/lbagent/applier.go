package lbagent

import (
	"context"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Applier carries plans out.
type Applier interface {
	// Apply makes plan, which has no faults, all there is; the zero Plan takes
	// everything away. What both plans have in common is not disturbed. After an
	// error anything may be half done, and the caller applies the plan before. Calls
	// do not overlap.
	Apply(ctx context.Context, plan lbapi.Plan) error
	// Observe returns how things are, and a channel that is closed when that has
	// changed. Session counts alone are no change.
	Observe() (Observation, <-chan struct{})
}

// Observation is how the plan in force is doing.
type Observation struct {
	VIPs     []lbapi.VIPStatus
	Peers    []lbapi.PeerStatus
	Backends []lbapi.BackendStatus
	Versions map[string]string
	// Messages say what is not as it should be, one line each.
	Messages []string
}

// Clock is the time the agent lives in.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}
