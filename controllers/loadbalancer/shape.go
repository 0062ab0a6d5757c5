package loadbalancer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// setApart tells whether one host can take more than one VM with it. Placement keeps
// them apart wherever that is possible, so this is how it is known when it was not.
func setApart(s *scope) {
	on := map[string][]string{}
	for i := range s.vms {
		if vm := &s.vms[i]; vm.DeletionTimestamp.IsZero() && hostOf(vm) != "" {
			on[hostOf(vm)] = append(on[hostOf(vm)], vm.Name)
		}
	}
	var shared []string
	for _, host := range slices.Sorted(maps.Keys(on)) {
		if len(on[host]) > 1 {
			shared = append(shared, fmt.Sprintf("%s are all on host %s: no other had room when they were placed", strings.Join(on[host], ", "), host))
		}
	}
	switch {
	case len(shared) > 0:
		conditions.False(s.lb, capstanv1.InstancesApartCondition, capstanv1.ReasonSharedHost, "%s", strings.Join(shared, "; "))
	case len(on) > 0:
		conditions.True(s.lb, capstanv1.InstancesApartCondition, capstanv1.ReasonApart, "each virtual machine is on a host of its own")
	}
}

// setUpToDate tells how far VMs are that follow a change of the spec.
func setUpToDate(s *scope) {
	if len(s.vms) == 0 {
		return
	}
	switch line, stopped, done := progress(s.candidates, int(ptr.Deref(s.lb.Spec.Replicas, 2))); {
	case done:
		conditions.True(s.lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonUpToDate, "all virtual machines are as the spec says")
	case stopped:
		conditions.False(s.lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonNotRolledOut, "%s", line)
	default:
		conditions.False(s.lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonProgressing, "%s", line)
	}
}

// changedFor are the fields of the spec by which a VM was not made.
func changedFor(lb *capstanv1.LoadBalancer, vm *capstanv1.VirtualMachine) []string {
	var changed []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"spec.size", equality.Semantic.DeepEqual(lb.Spec.Size, vm.Spec.Size)},
		{"spec.image", lb.Spec.Image == vm.Spec.Image},
		{"spec.placement", equality.Semantic.DeepEqual(lb.Spec.Placement, vm.Spec.PlacementRules)},
		{"spec.guestSettings", equality.Semantic.DeepEqual(lb.Spec.GuestSettings, vm.Spec.GuestSettings)},
	} {
		if !f.same {
			changed = append(changed, f.name)
		}
	}
	return changed
}
