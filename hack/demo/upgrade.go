package main

import (
	"context"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

const patchVersion = `kubectl patch workloadcluster shop --type=merge -p '{"spec":{"version":"` + nextVersion + `"}}'`

// upgrade rolls a cluster to the next patch version while somebody uses it.
func (s *story) upgrade() narrator.Chapter {
	return narrator.Chapter{Title: patchVersion, Tell: func(ctx context.Context) error {
		asking, err := s.Probe(ctx, shop, probe.DefaultTimeout)
		if err != nil {
			return err
		}
		visiting, err := s.KeepVisiting(ctx, s.vip)
		if err != nil {
			asking.Stop()
			return err
		}
		err = s.roll(ctx)
		asked, visited := asking.Stop(), visiting.Stop()
		if err != nil {
			return err
		}
		s.Screen.Step("the API server: " + asked.String())
		s.Screen.Step("Service " + narrator.ServiceName + ": " + visited.String())
		if err := asked.CheckNone(); err != nil {
			return fmt.Errorf("the cluster's API server must answer all along: %w", err)
		}
		if err := visited.CheckNone(); err != nil {
			return fmt.Errorf("the Service %s must answer all along: %w", narrator.ServiceName, err)
		}
		return s.ShowNodes(ctx, shop)
	}}
}

func (s *story) roll(ctx context.Context) error {
	if _, err := s.Env.RunKubectl(ctx, "patch", "workloadcluster", shop.Name, "--type=merge", "-p", `{"spec":{"version":"`+nextVersion+`"}}`); err != nil {
		return err
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	s.Screen.Step("all Ready at " + nextVersion)
	return nil
}
