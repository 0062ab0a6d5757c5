package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// vmKinds are what people do to VMs behind our back, and what guests do.
func vmKinds() []kind {
	return []kind{
		{name: "vm-removed-by-hand", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			vm, err := s.anyVM(ctx, r, s.expendable)
			if vm == nil || err != nil {
				return nil, err
			}
			return &blow{whom: whomOf(vm)}, s.Admin.RemoveVM(ctx, vm.GUID)
		}},
		{name: "vm-powered-off-by-hand", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			vm, err := s.anyVM(ctx, r, running)
			if vm == nil || err != nil {
				return nil, err
			}
			return &blow{whom: whomOf(vm)}, s.Admin.PowerOffVM(ctx, vm.GUID)
		}},
		{name: "guest-hung", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			vm, err := s.anyVM(ctx, r, running)
			if vm == nil || err != nil {
				return nil, err
			}
			return &blow{whom: whomOf(vm), lasts: between(r, 4*time.Second, 12*time.Second), end: func(ctx context.Context) (bool, error) {
				// The VM may be gone by now, with what was in it.
				err := s.Admin.SetGuest(ctx, vm.GUID, false)
				if fabricapi.CodeOf(err) == fabricapi.NotFound {
					err = nil
				}
				return true, err
			}}, s.Admin.SetGuest(ctx, vm.GUID, true)
		}},
		{name: "vm-moved", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			to := s.hostIn(r, true)
			vm, err := s.anyVM(ctx, r, func(vm *fabricapi.VM) bool { return vm.Role != "" && vm.Host != to && vm.Host <= hostName(clustered-1) })
			if vm == nil || err != nil {
				return nil, err
			}
			return &blow{whom: whomOf(vm) + " to " + to}, s.Admin.MoveVM(ctx, vm.GUID, to)
		}},
		{name: "vm-of-the-same-name", share: 1, strike: standIn},
	}
}

func running(vm *fabricapi.VM) bool { return vm.State == fabricapi.Running }

// expendable tells whether the user's cluster can do without a VM for ever: one whose
// only member is gone is brought back by restoring it alone. While a host is drained, any
// member may be about to leave.
func (s *storm) expendable(vm *fabricapi.VM) bool {
	of := s.auditor.book.vm(vm.Stamp.ID)
	return of.role != string(capstanv1.RoleControlPlane) || s.user.drained == "" && s.auditor.book.isWhole(of.cluster)
}

// anyVM returns one of ours that fits, or none.
func (s *storm) anyVM(ctx context.Context, r *rand.Rand, fits func(*fabricapi.VM) bool) (*fabricapi.VM, error) {
	world, err := s.World(ctx)
	if err != nil {
		return nil, err
	}
	var all []*fabricapi.VM
	for _, site := range world.Sites {
		for i := range site.VMs {
			if vm := &site.VMs[i]; vm.Stamp != nil && vm.Stamp.Installation == s.ours && fits(vm) {
				all = append(all, vm)
			}
		}
	}
	vm, _ := choose(r, all)
	return vm, nil
}

func whomOf(vm *fabricapi.VM) string { return fmt.Sprintf("VM %s on %s", vm.Name, vm.Host) }

// standIn makes a VM of somebody else that has the name of one of ours, where that is.
func standIn(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
	vm, err := s.anyVM(ctx, r, func(vm *fabricapi.VM) bool { return vm.Host != "" })
	if vm == nil || err != nil {
		return nil, err
	}
	var stamp *fabricapi.Stamp
	if r.IntN(2) == 0 {
		stamp = &fabricapi.Stamp{Installation: "somebody-else", ID: fmt.Sprintf("somebody-else-%d", s.injected)}
		s.injected++
	}
	_, err = s.addVM(ctx, vm.Host, vm.ConfigVolume, vm.Name, stamp)
	return &blow{whom: whomOf(vm)}, err
}

// addVM makes a VM of somebody else.
func (s *storm) addVM(ctx context.Context, host, volume, name string, stamp *fabricapi.Stamp) (fabricapi.VM, error) {
	vm, err := s.Admin.AddVM(ctx, fabricapi.AddVMRequest{Host: host, DefineVMRequest: fabricapi.DefineVMRequest{
		Name: name, Stamp: stamp, ConfigVolume: volume, Processors: 1, MemoryMiB: 1024,
	}})
	if err != nil {
		return vm, err
	}
	world, err := s.World(ctx)
	if err != nil {
		return vm, err
	}
	for _, h := range world.Hosts {
		if h.Name == host {
			s.auditor.others.add(h.Site, vm.GUID, stamp)
			s.strangers = append(s.strangers, vm.GUID)
		}
	}
	return vm, nil
}
