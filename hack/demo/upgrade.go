package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

const patchVersion = `kubectl patch workloadcluster shop --type=merge -p '{"spec":{"version":"` + nextVersion + `"}}'`

// upgrade rolls a cluster to the next patch version while somebody uses it.
func upgrade() chapter {
	return chapter{patchVersion, func(ctx context.Context, s *story) error {
		asking, err := s.probe(ctx)
		if err != nil {
			return err
		}
		visiting, err := s.keepVisiting(ctx, s.vip)
		if err != nil {
			asking.Stop()
			return err
		}
		err = s.roll(ctx)
		asked, visited := asking.Stop(), visiting.Stop()
		if err != nil {
			return err
		}
		s.screen.Step("the API server: " + asked.String())
		s.screen.Step("Service " + serviceName + ": " + visited.String())
		if err := asked.CheckNone(); err != nil {
			return fmt.Errorf("the cluster's API server must answer all along: %w", err)
		}
		if err := visited.CheckNone(); err != nil {
			return fmt.Errorf("the Service %s must answer all along: %w", serviceName, err)
		}
		return s.showNodes(ctx, shop)
	}}
}

func (s *story) roll(ctx context.Context) error {
	if _, err := s.env.RunKubectl(ctx, "patch", "workloadcluster", shop.Name, "--type=merge", "-p", `{"spec":{"version":"`+nextVersion+`"}}`); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.screen.Step("all Ready at " + nextVersion)
	return nil
}

// probe begins to ask the shop's API server through its VIP, with what a user has:
// the kubeconfig in the cluster's Secret.
func (s *story) probe(ctx context.Context) (*probe.Probe, error) {
	kubeconfig, err := s.readKubeconfig(ctx, shop)
	if err != nil {
		return nil, err
	}
	asking, err := probe.Start(ctx, probe.Options{Kubeconfig: kubeconfig})
	if err != nil {
		return nil, err
	}
	s.screen.Step(fmt.Sprintf("every %d ms from now on, kubectl get nodes through the VIP, on a new connection and on a kept one",
		probe.DefaultInterval/time.Millisecond))
	return asking, nil
}

// readKubeconfig returns the kubeconfig of a cluster.
func (s *story) readKubeconfig(ctx context.Context, cluster client.ObjectKey) ([]byte, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig"}
	if err := s.api.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", cluster.Name, err)
	}
	return secret.Data["value"], nil
}
