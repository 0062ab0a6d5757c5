package main

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// create makes the cluster, runs pods in it, and reaches them through a Service.
func (s *story) create() narrator.Chapter {
	return narrator.Chapter{Title: "one control-plane machine, one worker and one load balancer; a pod, and a Service of type LoadBalancer", Tell: func(ctx context.Context) error {
		began := time.Now()
		if _, err := s.Env.RunKubectl(ctx, "apply", "-k", s.Env.Manifests()); err != nil {
			return err
		}
		if err := s.Follow(ctx, func(p narrator.Picture) bool { return p.NodesReady() == 2 }); err != nil {
			return err
		}
		s.nodesReady = time.Since(began)
		s.Screen.Step("both nodes are Ready")
		if err := s.Settle(ctx); err != nil {
			return err
		}
		s.ready = time.Since(began)
		s.Screen.Step("all Ready")
		if err := s.ShowNodes(ctx, shop); err != nil {
			return err
		}
		return s.Within(ctx, func(ctx context.Context) error {
			if err := s.RunPods(ctx, shop, demoenv.PodsSample); err != nil {
				return err
			}
			vip, err := s.Publish(ctx, shop)
			if err != nil {
				return err
			}
			s.vip = vip
			return s.Visit(ctx, shop, vip)
		})
	}}
}

// grow has everything be redundant.
func (s *story) grow() narrator.Chapter {
	return narrator.Chapter{Title: "three control-plane machines, three workers and two load balancers", Tell: func(ctx context.Context) error {
		if err := s.patch(ctx, "workloadcluster", shop.Name, `{"spec":{"controlPlane":{"replicas":3},"loadBalancer":{"replicas":2}}}`); err != nil {
			return err
		}
		if _, err := s.Env.RunKubectl(ctx, "scale", "nodepool", poolName, "--replicas=3"); err != nil {
			return err
		}
		return s.settleAndVisit(ctx)
	}}
}

// settleAndVisit waits until everything is as it was asked for, and sees that it works.
func (s *story) settleAndVisit(ctx context.Context) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	s.Screen.Step("all Ready")
	if err := s.ShowNodes(ctx, shop); err != nil {
		return err
	}
	return s.Within(ctx, func(ctx context.Context) error {
		if err := s.AwaitPods(ctx, shop, demoenv.PodsSample); err != nil {
			return err
		}
		return s.Visit(ctx, shop, s.vip)
	})
}

func (s *story) patch(ctx context.Context, kind, name, patch string) error {
	s.Screen.Step(fmt.Sprintf("kubectl patch %s %s --type=merge -p '%s'", kind, name, patch))
	_, err := s.Env.RunKubectl(ctx, "patch", kind, name, "--type=merge", "-p", patch)
	return err
}
