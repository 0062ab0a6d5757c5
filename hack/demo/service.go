package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// serve makes a Service of type LoadBalancer in the first cluster, and uses it.
func (s *story) serve() narrator.Chapter {
	return narrator.Chapter{Title: narrator.WorkloadCommand(shop, "apply -f "+narrator.ServiceSample), Tell: func(ctx context.Context) error {
		return s.Within(ctx, func(ctx context.Context) error {
			vip, err := s.Publish(ctx, shop)
			if err != nil {
				return err
			}
			s.vip = vip
			if err := s.ShowService(ctx, shop); err != nil {
				return err
			}
			return s.Visit(ctx, shop, vip)
		})
	}}
}

// withdraw deletes the Service, and waits until its address is anybody's again.
func (s *story) withdraw() narrator.Chapter {
	return narrator.Chapter{Title: narrator.WorkloadCommand(shop, "delete -f "+narrator.ServiceSample), Tell: func(ctx context.Context) error {
		return s.Within(ctx, func(ctx context.Context) error {
			if _, err := s.Env.RunKubectl(ctx, "--kubeconfig", s.Kubeconfig(shop), "delete", "-f", narrator.ServiceSample); err != nil {
				return err
			}
			err := wait.PollUntilContextCancel(ctx, narrator.LookEvery, true, func(ctx context.Context) (bool, error) {
				return s.IsFree(ctx, s.vip)
			})
			if err != nil {
				return fmt.Errorf("waiting until %s is free again: %w", s.vip, err)
			}
			s.Screen.Step(fmt.Sprintf("%s is free: nobody listens on it, and nothing reserves it", s.vip))
			return nil
		})
	}}
}
