package main

import (
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// useMachines has hosts be of machine containers, whose guests boot the node image.
func (s *settings) useMachines() error {
	hosts, manifests, err := machinehosts.ForRepository(s.Source, s.Binaries, s.Dir)
	if err != nil {
		return err
	}
	s.Machines, s.manifests = hosts, manifests
	return nil
}
