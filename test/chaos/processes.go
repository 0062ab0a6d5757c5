package main

import (
	"context"
	"math/rand/v2"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// processKinds are deaths of processes, which are started again at once, as an init
// system does.
func processKinds() []kind {
	return []kind{
		{name: "manager-killed", share: 2, strike: func(_ context.Context, s *storm, _ *rand.Rand) (*blow, error) {
			return s.crash(demoenv.Manager)
		}},
		{name: "agent-killed", share: 2, strike: func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
			return s.crash(demoenv.AgentName(s.anyHost(r)))
		}},
		{name: "api-server-killed", share: 1, slot: serverSlot, strike: func(_ context.Context, s *storm, _ *rand.Rand) (*blow, error) {
			return s.crash(demoenv.APIServer)
		}},
	}
}

func (s *storm) crash(process string) (*blow, error) {
	return &blow{whom: process}, s.Crash(process)
}
