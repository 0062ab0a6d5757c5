package main

import (
	"context"
	"fmt"
)

// create makes the first cluster and shows what a user sees of it.
func create() chapter {
	return chapter{"kubectl apply -k " + samples, func(ctx context.Context, s *story) error {
		if _, err := s.env.RunKubectl(ctx, "apply", "-k", samples); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		s.ready = s.screen.Elapsed()
		s.screen.Step("all Ready")
		if err := s.showTables(ctx, "workloadclusters", "nodepools", "loadbalancers", "virtualmachines"); err != nil {
			return err
		}
		return s.showNodes(ctx, shop)
	}}
}

// createSecond makes a cluster in another namespace, which shares hosts and
// network with the first.
func createSecond() chapter {
	return chapter{"kubectl apply -f " + labSample, func(ctx context.Context, s *story) error {
		if _, err := s.env.RunKubectl(ctx, "apply", "-f", labSample); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		s.screen.Step("both clusters are Ready")
		if err := s.showTables(ctx, "workloadclusters", "hypervhosts"); err != nil {
			return err
		}
		if err := s.showNodes(ctx, lab); err != nil {
			return err
		}
		return s.serveUntilTheEnd(ctx)
	}}
}

// serveUntilTheEnd makes a Service in the second cluster that nobody deletes: its
// address has to come free with the cluster.
func (s *story) serveUntilTheEnd(ctx context.Context) error {
	s.screen.Plain("\n         %s", s.workloadCommand(lab, "apply -f "+serviceSample))
	return s.within(ctx, func(ctx context.Context) error {
		vip, err := s.publish(ctx, lab)
		if err != nil {
			return err
		}
		return s.visit(ctx, lab, vip)
	})
}

// scale changes the size of a pool.
func scale(replicas int) chapter {
	return chapter{fmt.Sprintf("kubectl scale nodepool %s --replicas=%d", poolName, replicas), func(ctx context.Context, s *story) error {
		if _, err := s.env.RunKubectl(ctx, "scale", "nodepool", poolName, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		s.screen.Step(fmt.Sprintf("all Ready with %d nodes in %s", replicas, poolName))
		return s.checkNodes(ctx, shop)
	}}
}
