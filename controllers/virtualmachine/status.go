package virtualmachine

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// conditionOf is the condition that a phase is about.
var conditionOf = map[capstanv1.VMPhase]string{
	capstanv1.VMPending:    capstanv1.AddressesAllocatedCondition,
	capstanv1.VMAddressing: capstanv1.AddressesAllocatedCondition,
	capstanv1.VMPlacing:    capstanv1.PlacedCondition,
	capstanv1.VMStaging:    capstanv1.ImageStagedCondition,
	capstanv1.VMCreating:   capstanv1.RunningCondition,
	capstanv1.VMStarting:   capstanv1.RunningCondition,
	capstanv1.VMRunning:    capstanv1.RunningCondition,
	capstanv1.VMDeleting:   capstanv1.RunningCondition,
}

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope) {
	vm := s.vm
	if s.stale {
		return
	}
	vm.Status.ObservedGeneration = vm.Generation
	if s.paused {
		// What is Ready stays so, unless it was changed meanwhile.
		if !conditions.IsCurrentlyTrue(vm, capstanv1.ReadyCondition) {
			conditions.False(vm, capstanv1.ReadyCondition, capstanv1.ReasonPaused, "Cluster %s or this VirtualMachine is paused: nothing is done until it is resumed", vm.Spec.ClusterName)
		}
		return
	}
	if !vm.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(vm, capstanv1.VirtualMachineFinalizer) {
		return
	}
	setPhase(s)
	setObserved(s)
	setPassed(s)
	setWaiting(s)
	setReady(s)
}

func setPhase(s *scope) {
	if s.phase == "" {
		s.phase = s.was
	}
	if s.phase == "" {
		s.phase = capstanv1.VMPending
	}
	if !mayFollow(s.was, s.phase) {
		// Nothing may lead here. What was done stays true, so the phase stays too.
		s.phase = s.was
	}
	s.vm.Status.Phase = s.phase
}

func setObserved(s *scope) {
	status := &s.vm.Status
	status.Progress = s.progress
	if len(s.addresses) > 0 && len(s.addresses) == len(s.networks) {
		status.Addresses = s.addressTexts()
	}
	if s.seedHash != "" {
		status.SeedHash = s.seedHash
	}
	place := s.vm.Spec.Placement
	if place == nil {
		return
	}
	var volumes []string
	for _, d := range place.Disks {
		if !slices.Contains(volumes, d.Volume) {
			volumes = append(volumes, d.Volume)
		}
	}
	status.Volumes = strings.Join(volumes, ",")
	if status.Host == "" {
		status.Host = place.Host
		for i := range s.hosts {
			if s.hosts[i].Name == place.Host {
				status.FailureDomain = s.hosts[i].Spec.FailureDomain
			}
		}
	}
	if s.at != nil && s.seen != nil && s.seen.Host != "" && hostName(s.at) == s.seen.Host {
		status.Host = s.at.Name
	}
}

// setPassed tells of what is over.
func setPassed(s *scope) {
	vm := s.vm
	if len(vm.Status.Addresses) > 0 && len(vm.Status.Addresses) == len(vm.Spec.Networks) {
		conditions.True(vm, capstanv1.AddressesAllocatedCondition, capstanv1.ReasonAllocated, "%s", strings.Join(vm.Status.Addresses, ", "))
	}
	if place := vm.Spec.Placement; place != nil {
		conditions.True(vm, capstanv1.PlacedCondition, capstanv1.ReasonPlaced, "on host %s, volumes %s", place.Host, vm.Status.Volumes)
	}
	if s.staged {
		conditions.True(vm, capstanv1.ImageStagedCondition, capstanv1.ReasonStaged, "image %s is on volume %s", vm.Spec.Image, volumeOf(vm, bootDisk))
	}
	if s.phase == capstanv1.VMRunning && s.wait == nil && s.err == nil {
		conditions.True(vm, capstanv1.RunningCondition, capstanv1.ReasonRunning, "the VM runs on host %s", vm.Status.Host)
	}
	if !vm.Spec.RetireSeed || !stands(s.seen) {
		return
	}
	switch {
	case !s.seen.SeedAttached && s.seen.Operation == nil:
		conditions.True(vm, capstanv1.SeedRetiredCondition, capstanv1.ReasonRetired, "the seed is detached and destroyed")
	case s.retiring != "":
		conditions.False(vm, capstanv1.SeedRetiredCondition, capstanv1.ReasonProgressing, "%s", s.retiring)
	}
}

// setWaiting tells of what is not over.
func setWaiting(s *scope) {
	condition := conditionOf[s.phase]
	switch {
	case s.wait != nil && s.wait.unknown:
		conditions.Unknown(s.vm, condition, s.wait.reason, "%s", s.wait.message)
	case s.wait != nil && s.wait.detail != "":
		conditions.False(s.vm, condition, s.wait.reason, "%s; %s", s.wait.message, s.wait.detail)
	case s.wait != nil:
		conditions.False(s.vm, condition, s.wait.reason, "%s", s.wait.message)
	case s.err != nil:
		conditions.Failed(s.vm, condition, capstanv1.ReasonInternalError, s.err)
	}
}

func setReady(s *scope) {
	vm := s.vm
	if s.phase == capstanv1.VMRunning && s.wait == nil && s.err == nil {
		conditions.True(vm, capstanv1.ReadyCondition, capstanv1.ReasonReady, "running on host %s", vm.Status.Host)
		return
	}
	c := conditions.Get(vm, conditionOf[s.phase])
	if c == nil {
		return
	}
	since := c.LastTransitionTime.Time
	if d := vm.DeletionTimestamp; d != nil {
		since = d.Time
	}
	set := conditions.False
	if c.Status == metav1.ConditionUnknown && vm.DeletionTimestamp.IsZero() {
		set = conditions.Unknown
	}
	why := c.Message
	if s.wait != nil {
		why = s.wait.message
	}
	message := fmt.Sprintf("%s, since %s", why, conditions.ClockTime(since))
	if guest := vm.Status.Guest.Explain(); guest != "" && s.phase == capstanv1.VMStarting {
		message += "; " + guest
	}
	set(vm, capstanv1.ReadyCondition, c.Reason, "%s", message)
}
