package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
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
			return s.Follow(ctx, func(p narrator.Picture) bool {
				holder := p.Holder(shop)
				return holder != "" && holder != active.Name
			})
		})
	}}
}

// underProbe does something that may have the VIP move, while somebody uses the API
// server through it, and waits until all is well again.
func (s *story) underProbe(ctx context.Context, fault func() error) error {
	asking, err := s.Probe(ctx, shop)
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
	window, err := report.CheckTakeover(began, takeoverWithin)
	if err != nil {
		return err
	}
	s.Screen.Step(fmt.Sprintf("takeover window %d ms: %d requests failed in it, and none outside", window.Length().Milliseconds(), window.Failed))
	return nil
}

// loseHost takes the power from a host for good, as far as its administrator says, and
// later brings it back.
func (s *story) loseHost() narrator.Chapter {
	return narrator.Chapter{Title: "a host with a control-plane machine loses its power and is given up, and comes back", Tell: func(ctx context.Context) error {
		host, err := s.hostToLose(ctx)
		if err != nil {
			return err
		}
		lost, err := s.on(ctx, host)
		if err != nil {
			return err
		}
		if err := s.underProbe(ctx, func() error {
			s.Screen.Step(fmt.Sprintf("%s is off, and with it %s", host, names(lost)))
			s.Env.Agents[host].Kill()
			if err := s.Env.Machines.CutPower(ctx, host); err != nil {
				return err
			}
			return s.patch(ctx, "hypervhost", host, `{"spec":{"lost":true}}`)
		}); err != nil {
			return err
		}
		return s.bringBack(ctx, host, lost)
	}}
}

// hostToLose is one with a control-plane machine.
func (s *story) hostToLose(ctx context.Context) (string, error) {
	vms, err := s.vms(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(vms, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.Role == capstanv1.RoleControlPlane })
	if i < 0 {
		return "", fmt.Errorf("there is no control-plane machine in %d VMs", len(vms))
	}
	return vms[i].Status.Host, nil
}

// bringBack has a host come back whose VMs were given up: they must not start.
func (s *story) bringBack(ctx context.Context, host string, buried []capstanv1.VirtualMachine) error {
	s.Screen.Step(host + " comes back")
	if err := s.Env.Machines.Boot(host); err != nil {
		return err
	}
	if err := s.Env.RestartAgent(host); err != nil {
		return err
	}
	if err := s.patch(ctx, "hypervhost", host, `{"spec":{"lost":false}}`); err != nil {
		return err
	}
	if err := s.Follow(ctx, func(p narrator.Picture) bool { return p.Host(host).Status == metav1.ConditionTrue }); err != nil {
		return err
	}
	if err := s.Within(ctx, s.awaitBurial); err != nil {
		return err
	}
	guests, err := s.Env.Machines.Guests()
	if err != nil {
		return err
	}
	for _, guest := range guests {
		if slices.ContainsFunc(buried, func(vm capstanv1.VirtualMachine) bool { return guest.Init > 0 && vm.Spec.ID == string(guest.ID) }) {
			return fmt.Errorf("host %s came back and runs VM %s, which was given up and replaced", host, guest.ID)
		}
	}
	s.Screen.Step(fmt.Sprintf("what was given up on %s is gone, and none of it was started", host))
	return s.settleAndVisit(ctx)
}

// awaitBurial waits until the host has honoured all Tombstones.
func (s *story) awaitBurial(ctx context.Context) error {
	tombstones := &capstanv1.TombstoneList{}
	err := wait.PollUntilContextCancel(ctx, narrator.LookEvery, true, func(ctx context.Context) (bool, error) {
		err := s.API.List(ctx, tombstones)
		return err == nil && len(tombstones.Items) == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting until %d Tombstones are honoured: %w", len(tombstones.Items), err)
	}
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
