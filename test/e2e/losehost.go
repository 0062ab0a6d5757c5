package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

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
		}, s.goesOn); err != nil {
			return err
		}
		return s.bringBack(ctx, host, lost)
	}}
}

// gapWithin is for how long nobody may be answered while a host is lost: its load
// balancer and its members of etcd and of the API server go at once. A client that keeps
// a connection to a machine without power finds out by itself.
const gapWithin = 5 * time.Second

// goesOn is what may be seen of a host that is lost.
func (s *story) goesOn(report probe.Report, _ time.Time) error {
	for _, o := range report.Outages {
		s.Screen.Step(fmt.Sprintf("%d requests failed within %d ms", o.Failed, o.Length().Milliseconds()))
	}
	return answeredWithin(report, gapWithin)
}

// answeredWithin returns an error if nobody was answered for longer than that.
func answeredWithin(report probe.Report, longest time.Duration) error {
	if report.LongestGap > longest {
		return errors.Join(fmt.Errorf("for %s nobody was answered", report.LongestGap), report.CheckNone())
	}
	return nil
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
	watch, unwatch := context.WithCancelCause(ctx)
	defer unwatch(nil)
	go s.watchBuried(watch, unwatch, buried)
	if err := s.Env.RestartAgent(host); err != nil {
		return err
	}
	if err := s.patch(ctx, "hypervhost", host, `{"spec":{"lost":false}}`); err != nil {
		return err
	}
	if err := s.Follow(watch, func(p narrator.Picture) bool { return p.Host(host).Status == metav1.ConditionTrue }); err != nil {
		return err
	}
	if err := s.Within(watch, s.awaitBurial); err != nil {
		return errors.Join(err, context.Cause(watch))
	}
	s.Screen.Step(fmt.Sprintf("what was given up on %s is gone, and none of it was started", host))
	return s.settleAndVisit(ctx)
}

// watchBuried ends a context with an error as soon as a guest runs of a VM that was given
// up.
func (s *story) watchBuried(ctx context.Context, end context.CancelCauseFunc, buried []capstanv1.VirtualMachine) {
	ticker := time.NewTicker(narrator.LookEvery)
	defer ticker.Stop()
	for {
		guests, err := s.Env.Machines.Guests()
		if err != nil {
			end(err)
			return
		}
		for _, guest := range guests {
			if slices.ContainsFunc(buried, func(vm capstanv1.VirtualMachine) bool { return guest.Init > 0 && vm.Spec.ID == string(guest.ID) }) {
				end(fmt.Errorf("host %s came back and runs VM %s, which was given up and replaced", guest.Host, guest.ID))
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
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
