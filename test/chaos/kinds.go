package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// kind is a kind of fault.
type kind struct {
	name string
	// share is how often it comes among the others.
	share int
	// slot is what there is only one fault of at a time: the one before ends early.
	slot string
	// strike has it happen to somebody. It returns nothing where there is nobody.
	strike func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error)
}

// blow is a fault that happens.
type blow struct {
	// whom it befalls, in words.
	whom string
	// lasts is how long. What does not last is over at once, and has changed something.
	lasts time.Duration
	// end puts an end to it, and tells whether it has changed anything.
	end func(ctx context.Context) (bool, error)
}

// Slots.
const (
	hostSlot    = "host"
	volumeSlot  = "volume"
	imageSlot   = "image"
	lineSlot    = "line"
	gatewaySlot = "gateway"
	serverSlot  = "server"
	clockSlot   = "clock"
)

// kinds are all kinds of faults.
func kinds() []kind {
	return slices.Concat(processKinds(), callKinds(), gatewayKinds(), lineKinds(), clockKinds(), hostKinds(), volumeKinds(), vmKinds())
}

// kindsNamed returns those that are named, or all.
func kindsNamed(names string) ([]kind, error) {
	all := kinds()
	if names == "" {
		return all, nil
	}
	var chosen []kind
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
		if i < 0 {
			var known []string
			for _, k := range all {
				known = append(known, k.name)
			}
			return nil, fmt.Errorf("there is no kind of fault %q: there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
