package loadbalancer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

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

// setUpToDate tells which changes of the spec no VM has been made by yet.
func setUpToDate(s *scope) {
	if len(s.vms) == 0 {
		return
	}
	var old []string
	for i := range s.vms {
		vm := &s.vms[i]
		if changed := changedFor(s.lb, vm); len(changed) > 0 && vm.DeletionTimestamp.IsZero() {
			old = append(old, fmt.Sprintf("%s changed: %s keeps what it has until it is replaced", strings.Join(changed, ", "), vm.Name))
		}
	}
	if len(old) > 0 {
		conditions.False(s.lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonNotRolledOut, "%s", strings.Join(old, "; "))
		return
	}
	conditions.True(s.lb, capstanv1.InstancesUpToDateCondition, capstanv1.ReasonUpToDate, "all virtual machines are as the spec says")
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
		{"spec.guestSettings", equality.Semantic.DeepEqual(lb.Spec.GuestSettings, vm.Spec.GuestSettings)},
	} {
		if !f.same {
			changed = append(changed, f.name)
		}
	}
	return changed
}
