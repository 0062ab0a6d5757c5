package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

// takeoverWithin is how long users may be turned away while the VIP moves: the time
// of a takeover, and that of a request which was under way.
const takeoverWithin = 5 * time.Second

// killLoadBalancer kills the guest that holds the VIP.
func (s *story) killLoadBalancer() narrator.Chapter {
	return narrator.Chapter{Title: "the load balancer that holds the VIP is killed", Tell: func(ctx context.Context) error {
		active, err := s.ActiveLoadBalancer(ctx, shop)
		if err != nil {
			return err
		}
		vm, err := s.vm(ctx, active.Name)
		if err != nil {
			return err
		}
		guest, err := s.Env.Machines.Guest(vm.Spec.ID)
		if err != nil {
			return err
		}
		return s.underProbe(ctx, func() error {
			s.Screen.Step(active.Name + " is killed")
			if err := syscall.Kill(guest.Init, syscall.SIGKILL); err != nil {
				return fmt.Errorf("killing load balancer %s: %w", active.Name, err)
			}
			if err := s.Follow(ctx, func(p narrator.Picture) bool {
				holder := p.Holder(shop)
				return holder != "" && holder != active.Name
			}); err != nil {
				return err
			}
			return s.Within(ctx, func(ctx context.Context) error { return s.awaitBalancers(ctx, guest) })
		}, s.oneTakeover)
	}}
}

// awaitBalancers waits until a load balancer that was killed runs again, or another in its
// place, and all of them carry the plan: one is enough for Ready.
func (s *story) awaitBalancers(ctx context.Context, killed machinehosts.Guest) error {
	var last string
	err := wait.PollUntilContextCancel(ctx, lookAtGuests, true, func(ctx context.Context) (bool, error) {
		balancer := &capstanv1.LoadBalancer{}
		if err := s.API.Get(ctx, shop, balancer); err != nil {
			return false, fmt.Errorf("reading LoadBalancer %s: %w", shop.Name, err)
		}
		instances := meta.FindStatusCondition(balancer.Status.Conditions, capstanv1.InstancesReadyCondition)
		if instances == nil {
			return false, nil
		}
		last = instances.Message
		now, err := s.Env.Machines.Guest(string(killed.ID))
		again := err == nil && now.Init != killed.Init
		vms, err := s.vms(ctx)
		replaced := !slices.ContainsFunc(vms, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.ID == string(killed.ID) })
		return err == nil && (again || replaced) && instances.Status == metav1.ConditionTrue, err
	})
	if err != nil {
		return fmt.Errorf("waiting until both load balancers carry the plan (%s): %w", last, err)
	}
	s.Screen.Step("both load balancers carry the plan")
	return nil
}

// underProbe does something while somebody uses the API server through the VIP, waits
// until all is well again, and judges what that somebody saw.
func (s *story) underProbe(ctx context.Context, fault func() error, judge func(probe.Report, time.Time) error) error {
	asking, err := s.Probe(ctx, shop, busyPatience)
	if err != nil {
		return err
	}
	began := time.Now()
	if err = fault(); err == nil {
		err = s.settleAndVisit(ctx)
	}
	report := asking.Stop()
	if err != nil {
		return err
	}
	s.Screen.Step(report.String())
	return judge(report, began)
}

// oneTakeover is what may be seen of a VIP that moves.
func (s *story) oneTakeover(report probe.Report, fault time.Time) error {
	window, err := report.CheckTakeover(fault, takeoverWithin)
	if err != nil {
		return err
	}
	if err := answeredWithin(report, takeoverWithin); err != nil {
		return err
	}
	s.Screen.Step(fmt.Sprintf("takeover window %d ms: %d requests failed in it, and none outside", window.Length().Milliseconds(), window.Failed))
	return nil
}

// vms are all VMs.
func (s *story) vms(ctx context.Context) ([]capstanv1.VirtualMachine, error) {
	vms := &capstanv1.VirtualMachineList{}
	if err := s.API.List(ctx, vms); err != nil {
		return nil, fmt.Errorf("listing the VMs: %w", err)
	}
	return vms.Items, nil
}

// on are the VMs on a host.
func (s *story) on(ctx context.Context, host string) ([]capstanv1.VirtualMachine, error) {
	vms, err := s.vms(ctx)
	return slices.DeleteFunc(vms, func(vm capstanv1.VirtualMachine) bool { return vm.Status.Host != host }), err
}

func names(vms []capstanv1.VirtualMachine) []string {
	var all []string
	for i := range vms {
		all = append(all, vms[i].Name)
	}
	return all
}

// vm is one of the cluster's.
func (s *story) vm(ctx context.Context, name string) (*capstanv1.VirtualMachine, error) {
	vm := &capstanv1.VirtualMachine{}
	if err := s.API.Get(ctx, client.ObjectKey{Namespace: shop.Namespace, Name: name}, vm); err != nil {
		return nil, fmt.Errorf("reading VirtualMachine %s: %w", name, err)
	}
	return vm, nil
}
