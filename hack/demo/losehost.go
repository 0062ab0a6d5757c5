package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

// takeoverWithin is how long users may be turned away while the VIP moves. It
// moves within 0.7 s, and where load balancers are machines of their own nobody refuses
// a request that was under way: whoever made it waits for it, see probe.DefaultTimeout.
// The rest is for a machine that is busy.
const takeoverWithin = 5 * time.Second

// loseHost takes the power from the host on which the VIP is, and gives it back
// once the failover cluster has brought its VMs up elsewhere.
func (s *story) loseHost() narrator.Chapter {
	return narrator.Chapter{Title: "The host of the load balancer that holds the VIP loses its power", Tell: func(ctx context.Context) error {
		active, err := s.ActiveLoadBalancer(ctx, shop)
		if err != nil {
			return err
		}
		asking, err := s.Probe(ctx, shop, probe.DefaultTimeout)
		if err != nil {
			return err
		}
		fault := time.Now()
		err = s.powerCycle(ctx, active)
		report := asking.Stop()
		if err != nil {
			return err
		}
		s.Screen.Step(report.String())
		window, err := report.CheckTakeover(fault, takeoverWithin)
		if err != nil {
			return err
		}
		s.Screen.Step(fmt.Sprintf("takeover window %d ms: %d requests failed in it, and none outside", window.Length().Milliseconds(), window.Failed))
		return s.CheckNodes(ctx, shop)
	}}
}

func (s *story) powerCycle(ctx context.Context, active capstanv1.LoadBalancerInstance) error {
	if err := s.Env.Admin.HostDown(ctx, active.Host); err != nil {
		return err
	}
	s.Screen.Step(fmt.Sprintf("%s is off, and with it %s", active.Host, active.Name))
	down := func(p narrator.Picture) bool {
		return p.Holder(shop) != active.Name && p.Host(active.Host).Status != metav1.ConditionTrue && p.Emptied(active.Host)
	}
	if err := s.Follow(ctx, down); err != nil {
		return err
	}
	s.Screen.Step(fmt.Sprintf("nothing is left on %s: it comes back", active.Host))
	if err := s.Env.Admin.HostUp(ctx, active.Host); err != nil {
		return err
	}
	if err := s.Follow(ctx, func(p narrator.Picture) bool { return p.Host(active.Host).Status == metav1.ConditionTrue }); err != nil {
		return err
	}
	return s.Settle(ctx)
}
