package main

import (
	"context"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// create makes the first cluster and shows what a user sees of it.
func (s *story) create() narrator.Chapter {
	return narrator.Chapter{Title: "kubectl apply -k " + s.manifests, Tell: func(ctx context.Context) error {
		if _, err := s.Env.RunKubectl(ctx, "apply", "-k", s.manifests); err != nil {
			return err
		}
		if err := s.Settle(ctx); err != nil {
			return err
		}
		s.ready = s.Screen.Elapsed()
		s.Screen.Step("all Ready")
		if err := s.ShowTables(ctx, "workloadclusters", "nodepools", "loadbalancers", "virtualmachines"); err != nil {
			return err
		}
		return s.ShowNodes(ctx, shop)
	}}
}

// createSecond makes a cluster in another namespace, which shares hosts and
// network with the first.
func (s *story) createSecond() narrator.Chapter {
	return narrator.Chapter{Title: "kubectl apply -f " + labSample, Tell: func(ctx context.Context) error {
		if _, err := s.Env.RunKubectl(ctx, "apply", "-f", labSample); err != nil {
			return err
		}
		if err := s.Settle(ctx); err != nil {
			return err
		}
		s.Screen.Step("both clusters are Ready")
		if err := s.ShowTables(ctx, "workloadclusters", "hypervhosts"); err != nil {
			return err
		}
		if err := s.ShowNodes(ctx, lab); err != nil {
			return err
		}
		return s.serveUntilTheEnd(ctx)
	}}
}

// serveUntilTheEnd makes a Service in the second cluster that nobody deletes: its
// address has to come free with the cluster.
func (s *story) serveUntilTheEnd(ctx context.Context) error {
	s.Screen.Plain("\n         %s", narrator.WorkloadCommand(lab, "apply -f "+narrator.ServiceSample))
	return s.Within(ctx, func(ctx context.Context) error {
		vip, err := s.Publish(ctx, lab)
		if err != nil {
			return err
		}
		return s.Visit(ctx, lab, vip)
	})
}

// scale changes the size of a pool.
func (s *story) scale(replicas int) narrator.Chapter {
	return narrator.Chapter{Title: fmt.Sprintf("kubectl scale nodepool %s --replicas=%d", poolName, replicas), Tell: func(ctx context.Context) error {
		if _, err := s.Env.RunKubectl(ctx, "scale", "nodepool", poolName, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
			return err
		}
		if err := s.Settle(ctx); err != nil {
			return err
		}
		s.Screen.Step(fmt.Sprintf("all Ready with %d nodes in %s", replicas, poolName))
		return s.CheckNodes(ctx, shop)
	}}
}
