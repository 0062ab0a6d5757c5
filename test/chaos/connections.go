package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/meddle"
)

// groups are those of the objects that the product writes.
var groups = []string{
	capstanv1.GroupVersion.Group, infrav1.GroupVersion.Group, clusterv1.GroupVersion.Group,
	"controlplane." + clusterv1.GroupVersion.Group, "bootstrap." + clusterv1.GroupVersion.Group, "ipam." + clusterv1.GroupVersion.Group,
}

// gatewayKinds are what befalls what the manager writes to the API server.
func gatewayKinds() []kind {
	befall := func(mishap meddle.Mishap) func(context.Context, *storm, *rand.Rand) (*blow, error) {
		return func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
			return s.plan(meddle.Planned{Mishap: mishap, Times: 1 + r.IntN(8), Groups: groups, Late: between(r, 200*time.Millisecond, 3*time.Second)}), nil
		}
	}
	return []kind{
		{name: "api-conflicts", share: 2, slot: gatewaySlot, strike: befall(meddle.Conflict)},
		{name: "api-answers-lost", share: 1, slot: gatewaySlot, strike: befall(meddle.AnswerLost)},
		{name: "api-answers-delayed", share: 1, slot: gatewaySlot, strike: befall(meddle.AnswerLate)},
	}
}

func (s *storm) plan(p meddle.Planned) *blow {
	planned := s.gateway.Plan(p)
	return &blow{whom: fmt.Sprintf("%d writes of the manager", p.Times), lasts: callsLast, end: func(context.Context) (bool, error) {
		return s.gateway.End(planned) > 0, nil
	}}
}

// lineKinds are what befalls the network between the manager and an agent.
func lineKinds() []kind {
	return []kind{
		{name: "agent-hears-nothing", share: 1, slot: lineSlot, strike: troubling(func(*storm, *rand.Rand, string) meddle.Trouble {
			return meddle.Trouble{Deaf: true}
		})},
		{name: "agent-is-not-heard", share: 1, slot: lineSlot, strike: troubling(func(*storm, *rand.Rand, string) meddle.Trouble {
			return meddle.Trouble{Mute: true}
		})},
		{name: "agent-answers-late", share: 1, slot: lineSlot, strike: troubling(func(_ *storm, r *rand.Rand, _ string) meddle.Trouble {
			return meddle.Trouble{Late: between(r, 200*time.Millisecond, 2*time.Second)}
		})},
		{name: "certificate-swapped", share: 1, slot: lineSlot, strike: troubling(func(s *storm, r *rand.Rand, host string) meddle.Trouble {
			// Another host's agent answers, with another key.
			other := s.anyHost(r)
			for other == host {
				other = s.anyHost(r)
			}
			return meddle.Trouble{Elsewhere: s.lines[other].Server()}
		})},
	}
}

func troubling(trouble func(s *storm, r *rand.Rand, host string) meddle.Trouble) func(context.Context, *storm, *rand.Rand) (*blow, error) {
	return func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
		host := s.anyHost(r)
		line := s.lines[host]
		line.Set(trouble(s, r, host))
		return &blow{whom: "agent of " + host, lasts: between(r, 4*time.Second, 12*time.Second), end: func(context.Context) (bool, error) {
			touched := line.Touched()
			line.Set(meddle.Trouble{})
			return touched > 0, nil
		}}, nil
	}
}
