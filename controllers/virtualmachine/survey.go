package virtualmachine

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// Survey is what placement would decide today about VMs that have a place. It is of one
// moment and decides nothing.
type Survey struct {
	planner  *placement.Planner
	images   map[string]*capstanv1.VMImage
	networks map[string]*capstanv1.LogicalNetwork
}

// NewSurvey reads everything that placement goes by.
func NewSurvey(ctx context.Context, reader client.Reader, policy placement.Policy) (*Survey, error) {
	hosts, vms := &capstanv1.HyperVHostList{}, &capstanv1.VirtualMachineList{}
	images, networks := &capstanv1.VMImageList{}, &capstanv1.LogicalNetworkList{}
	for _, list := range []client.ObjectList{hosts, vms, images, networks} {
		// Nothing is changed, so nothing need be copied.
		if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %T for a survey of places: %w", list, err)
		}
	}
	// What hosts have reported since is not known here, and matters little to evenness.
	placer := newPlacer(func(string) time.Time { return time.Time{} })
	placer.policy = policy
	s := &Survey{
		planner:  placement.NewPlanner(placer.snapshot(hosts.Items, vms.Items)),
		images:   make(map[string]*capstanv1.VMImage, len(images.Items)),
		networks: make(map[string]*capstanv1.LogicalNetwork, len(networks.Items)),
	}
	for i := range images.Items {
		s.images[images.Items[i].Name] = &images.Items[i]
	}
	for i := range networks.Items {
		s.networks[networks.Items[i].Name] = &networks.Items[i]
	}
	return s, nil
}

// Better returns the host on which a VM would be placed today and be spread more evenly
// with its group, and by what, or "" if it is well where it is.
func (s *Survey) Better(vm *capstanv1.VirtualMachine) (host, by string) {
	req, ok := s.request(vm)
	if !ok {
		return "", ""
	}
	better, ok := s.planner.Better(req)
	if !ok {
		return "", ""
	}
	return better.Host, better.Score
}

// Skew tells how unevenly the group of a VM is spread.
func (s *Survey) Skew(vm *capstanv1.VirtualMachine) placement.Skew {
	req, ok := s.request(vm)
	if !ok {
		return placement.Skew{}
	}
	return s.planner.Skew(req)
}

// NoRoom says why a VM would have no place if it were made anew now, with what it has
// given back; or "" if it would, or nobody can tell.
func (s *Survey) NoRoom(vm *capstanv1.VirtualMachine) string {
	req, ok := s.request(vm)
	if !ok {
		return ""
	}
	if _, err := s.planner.Place(req); err != nil {
		return err.Error()
	}
	return ""
}

// request is what was asked for the VM; ok tells that all it needs is there still.
func (s *Survey) request(vm *capstanv1.VirtualMachine) (req placement.Request, ok bool) {
	known := &scope{vm: vm, image: s.images[vm.Spec.Image]}
	if known.image == nil {
		return req, false
	}
	for _, n := range vm.Spec.Networks {
		network := s.networks[n.LogicalNetwork]
		if network == nil {
			return req, false
		}
		known.networks = append(known.networks, network)
	}
	return request(known), true
}
