package virtualmachine

import (
	"slices"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// order is the way of a VM. A phase that is over at once is passed without being
// shown.
var order = []capstanv1.VMPhase{
	capstanv1.VMPending,
	capstanv1.VMAddressing,
	capstanv1.VMPlacing,
	capstanv1.VMStaging,
	capstanv1.VMCreating,
	capstanv1.VMStarting,
	capstanv1.VMRunning,
}

// back are the steps back. There is none from behind Placing to before it: once
// a place is recorded, something may lie there.
var back = map[capstanv1.VMPhase][]capstanv1.VMPhase{
	capstanv1.VMAddressing: {capstanv1.VMPending},
	capstanv1.VMPlacing:    {capstanv1.VMPending, capstanv1.VMAddressing},
	capstanv1.VMCreating:   {capstanv1.VMStaging},
	capstanv1.VMStarting:   {capstanv1.VMStaging, capstanv1.VMCreating},
	capstanv1.VMRunning:    {capstanv1.VMStaging, capstanv1.VMCreating, capstanv1.VMStarting},
}

// transitions are all arrows of the diagram.
func transitions() map[capstanv1.VMPhase][]capstanv1.VMPhase {
	arrows := map[capstanv1.VMPhase][]capstanv1.VMPhase{}
	for i, phase := range order {
		if i+1 < len(order) {
			arrows[phase] = append(arrows[phase], order[i+1])
		}
		arrows[phase] = append(arrows[phase], back[phase]...)
		arrows[phase] = append(arrows[phase], capstanv1.VMDeleting)
	}
	return arrows
}

// mayFollow tells whether a VM that was in one phase can be in another at the
// next look. A VM without a phase is new, or its status was lost.
func mayFollow(was, is capstanv1.VMPhase) bool {
	switch {
	case was == "" || was == is || is == capstanv1.VMDeleting:
		return true
	case was == capstanv1.VMDeleting:
		return false
	case slices.Index(order, is) > slices.Index(order, was):
		return true
	default:
		return slices.Contains(back[was], is)
	}
}

// placed tells whether a phase comes after the place was recorded.
func placed(phase capstanv1.VMPhase) bool {
	return slices.Index(order, phase) > slices.Index(order, capstanv1.VMPlacing)
}
