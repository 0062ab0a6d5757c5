package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

const (
	// darkest is how long at the most everything is without power, longestStart how much
	// sooner than the next one machine may be back.
	darkest      = 4 * time.Second
	longestStart = time.Second
)

// loseAllPower takes the power from all hosts and from the machines of the management
// cluster at once, and gives it back to one after the other, as chance has it. Nothing
// else happens meanwhile.
func loseAllPower(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
	start := []func(context.Context) error{s.startManagement}
	s.Halt(demoenv.Manager)
	for _, process := range []string{demoenv.ControllerManager, demoenv.APIServer, demoenv.Etcd} {
		s.Halt(process)
	}
	for i := range clustered + standAlone {
		host := hostName(i)
		if err := s.Admin.HostDown(ctx, host); err != nil {
			return nil, err
		}
		s.Halt(demoenv.AgentName(host))
		start = append(start, func(ctx context.Context) error { return s.startHost(ctx, host) })
	}
	r.Shuffle(len(start), func(i, j int) { start[i], start[j] = start[j], start[i] })
	if err := pause(ctx, between(r, time.Second, darkest)); err != nil {
		return nil, err
	}
	for _, start := range start {
		if err := start(ctx); err != nil {
			return nil, err
		}
		if err := pause(ctx, between(r, 0, longestStart)); err != nil {
			return nil, err
		}
	}
	s.auditor.listener.excuse()
	return &blow{whom: "all hosts and the management cluster"}, nil
}

func (s *storm) startHost(ctx context.Context, host string) error {
	if err := s.Admin.HostUp(ctx, host); err != nil {
		return err
	}
	return s.Resume(demoenv.AgentName(host))
}

// startManagement starts the management cluster. What runs in it is started by its own
// nodes, which need its API server for that.
func (s *storm) startManagement(ctx context.Context) error {
	for _, process := range []string{demoenv.Etcd, demoenv.APIServer} {
		if err := s.Resume(process); err != nil {
			return err
		}
	}
	kube, err := kubernetes.NewForConfig(s.Config)
	if err != nil {
		return fmt.Errorf("reaching the management API server: %w", err)
	}
	if err := s.persist(ctx, func(ctx context.Context) error {
		return kube.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return fmt.Errorf("waiting until the management API server is ready: %w", err)
	}
	for _, process := range []string{demoenv.ControllerManager, demoenv.Manager} {
		if err := s.Resume(process); err != nil {
			return err
		}
	}
	return nil
}
