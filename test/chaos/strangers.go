package main

import (
	"context"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// settleStrangers has VMs of somebody else be on the hosts from the beginning: without a
// stamp, and with that of another installation.
func (s *storm) settleStrangers(ctx context.Context) error {
	world, err := s.World(ctx)
	if err != nil {
		return err
	}
	for i, host := range world.Hosts {
		for _, stamp := range []*fabricapi.Stamp{nil, {Installation: "somebody-else", ID: fmt.Sprintf("somebody-else-on-%s", host.Name)}} {
			if _, err := s.addVM(ctx, host.Name, host.Volumes[i%len(host.Volumes)].Name, "stranger", stamp); err != nil {
				return fmt.Errorf("settling strangers on host %s: %w", host.Name, err)
			}
		}
	}
	return nil
}
