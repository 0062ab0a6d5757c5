package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// takeoverWithin is how long users may be turned away while the VIP moves. It
// moves within 0.7 s, and where load balancers are machines of their own nobody refuses
// a request that was under way: whoever made it waits for it, see probe.DefaultTimeout.
// The rest is for a machine that is busy.
const takeoverWithin = 5 * time.Second

// loseHost takes the power from the host on which the VIP is, and gives it back
// once the failover cluster has brought its VMs up elsewhere.
func loseHost() chapter {
	return chapter{"The host of the load balancer that holds the VIP loses its power", func(ctx context.Context, s *story) error {
		active, err := s.activeLoadBalancer(ctx)
		if err != nil {
			return err
		}
		asking, err := s.probe(ctx)
		if err != nil {
			return err
		}
		fault := time.Now()
		err = s.powerCycle(ctx, active)
		report := asking.Stop()
		if err != nil {
			return err
		}
		s.screen.Step(report.String())
		window, err := report.CheckTakeover(fault, takeoverWithin)
		if err != nil {
			return err
		}
		s.screen.Step(fmt.Sprintf("takeover window %d ms: %d requests failed in it, and none outside", window.Length().Milliseconds(), window.Failed))
		return s.checkNodes(ctx, shop)
	}}
}

func (s *story) powerCycle(ctx context.Context, active capstanv1.LoadBalancerInstance) error {
	if err := s.env.Admin.HostDown(ctx, active.Host); err != nil {
		return err
	}
	s.screen.Step(fmt.Sprintf("%s is off, and with it %s", active.Host, active.Name))
	down := func(p picture) bool {
		return s.holder(p) != active.Name && p.host(active.Host).Status != metav1.ConditionTrue && p.emptied(active.Host)
	}
	if err := s.follow(ctx, down); err != nil {
		return err
	}
	s.screen.Step(fmt.Sprintf("nothing is left on %s: it comes back", active.Host))
	if err := s.env.Admin.HostUp(ctx, active.Host); err != nil {
		return err
	}
	if err := s.follow(ctx, func(p picture) bool { return p.host(active.Host).Status == metav1.ConditionTrue }); err != nil {
		return err
	}
	return s.settle(ctx)
}

func (s *story) activeLoadBalancer(ctx context.Context) (capstanv1.LoadBalancerInstance, error) {
	balancer := &capstanv1.LoadBalancer{}
	if err := s.api.Get(ctx, shop, balancer); err != nil {
		return capstanv1.LoadBalancerInstance{}, fmt.Errorf("reading LoadBalancer %s: %w", shop.Name, err)
	}
	i := slices.IndexFunc(balancer.Status.Instances, isActive)
	if i < 0 {
		return capstanv1.LoadBalancerInstance{}, fmt.Errorf("LoadBalancer %s tells of no VM that holds its VIP", shop.Name)
	}
	return balancer.Status.Instances[i], nil
}

func isActive(i capstanv1.LoadBalancerInstance) bool { return i.Role == string(lbapi.RoleActive) }

// holder is the VM that holds the shop's VIP.
func (s *story) holder(p picture) string {
	for i := range p.loadBalancers {
		if b := &p.loadBalancers[i]; b.Namespace == shop.Namespace && b.Name == shop.Name {
			if at := slices.IndexFunc(b.Status.Instances, isActive); at >= 0 {
				return b.Status.Instances[at].Name
			}
		}
	}
	return ""
}

// host is the Ready condition of a host.
func (p picture) host(name string) metav1.Condition {
	for i := range p.hosts {
		if p.hosts[i].Name == name {
			return demoenv.ReadyOf(&p.hosts[i])
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

// emptied tells whether all VMs are known to run, and none on this host.
func (p picture) emptied(host string) bool {
	return !slices.ContainsFunc(p.vms, func(vm capstanv1.VirtualMachine) bool {
		return vm.Status.Host == host || demoenv.ReadyOf(&vm).Status != metav1.ConditionTrue
	})
}
