package v1alpha1

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Place is where the VM is, or is to be.
func (vm *VirtualMachine) Place() Placement {
	if vm.Spec.Placement != nil {
		return *vm.Spec.Placement
	}
	return Placement{Host: vm.Status.Host}
}

// IsOnLostHost tells whether a host that had the VM is declared lost, and no other
// host has it or may turn out to have it: another node of a failover cluster takes
// VMs over. Silence declares nothing, nor does a HyperVHost that is not there.
func (vm *VirtualMachine) IsOnLostHost(hosts []HyperVHost) bool {
	place := vm.Place()
	lost := false
	for i := range hosts {
		host := &hosts[i]
		switch {
		case host.SpeaksFor(place.FailoverCluster, place.Host):
			if !host.Spec.Lost {
				return false
			}
			lost = true
		case place.FailoverCluster != "" && !host.Spec.Lost && host.Status.Memory == nil:
			return false
		}
	}
	return lost
}

// SilentSince tells since when no host that can have the VM answers. Those that are
// declared lost are not waited for. A host that answers and is not let in, or that may
// turn out to have the VM, is not silent, nor is a HyperVHost that is not there.
func (vm *VirtualMachine) SilentSince(hosts []HyperVHost) (since time.Time, silent bool) {
	place := vm.Place()
	for i := range hosts {
		host := &hosts[i]
		if host.Spec.Lost {
			continue
		}
		if !host.SpeaksFor(place.FailoverCluster, place.Host) {
			if place.FailoverCluster != "" && host.Status.Memory == nil {
				return time.Time{}, false
			}
			continue
		}
		from, is := host.SilentSince()
		if !is {
			return time.Time{}, false
		}
		if silent = true; from.After(since) {
			since = from
		}
	}
	return since, silent
}

// SilentSince tells since when the host does not answer, and whether that is so. One that
// answers and is not let in is not silent, nor is one of which nothing is known yet.
func (h *HyperVHost) SilentSince() (since time.Time, silent bool) {
	c := meta.FindStatusCondition(h.Status.Conditions, AgentConnectedCondition)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != ReasonHostUnreachable {
		return time.Time{}, false
	}
	return c.LastTransitionTime.Time, true
}

// MayBeOn tells whether a host may have what was seen: it is where that was, or another node
// of the failover cluster, or has not said yet whether it is one.
func (s *VMSighting) MayBeOn(host *HyperVHost) bool {
	return host.Name == s.Host || host.SpeaksFor(s.FailoverCluster, s.Host) || s.FailoverCluster != "" && host.Status.Memory == nil
}
