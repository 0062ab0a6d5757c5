package ipam

import (
	"fmt"
	"slices"
	"strings"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
)

// hold is a reservation whose claim is gone, and why it stays.
type hold struct {
	*capstanv1.AddressReservation
	reason  capstanv1.UnclaimedReason
	message string
	since   time.Time
	// vigil is there if nobody is known who may use it.
	vigil *vigil
	freed bool
}

// mostMessage is how much of a reason is told.
const mostMessage = 900

func (h *hold) because(reason capstanv1.UnclaimedReason, format string, args ...any) {
	h.reason, h.message = reason, fmt.Sprintf(format, args...)
	if len(h.message) > mostMessage {
		h.message = strings.ToValidUTF8(h.message[:mostMessage], "") + "..."
	}
}

// byObjects tells whether the API server knows somebody who may use what is reserved, or
// whether that is beyond what it and hosts can tell.
func (h *hold) byObjects(e *evidence) bool {
	if t := e.tombstoneOf(h.AddressReservation); t != nil {
		h.since = t.CreationTimestamp.Time
		h.because(capstanv1.UnclaimedBuried, "Tombstone %s: VM %s/%s may still run on host %s", t.Name, t.Spec.VMRef.Namespace, t.Spec.VMRef.Name, placeOf(t))
		return true
	}
	if user := e.userOf(&h.Spec); user != "" {
		h.since = h.CreationTimestamp.Time
		h.because(capstanv1.UnclaimedInUse, "%s may use it", user)
		return true
	}
	if user := foreignUser(&h.Spec); user != "" {
		h.since = h.CreationTimestamp.Time
		h.because(capstanv1.UnclaimedForeignUser, "it was given to %s, and nobody here can tell whether that has it still", user)
		return true
	}
	return false
}

func placeOf(t *capstanv1.Tombstone) string {
	if t.Spec.FailoverCluster != "" {
		return t.Spec.Host + " of failover cluster " + t.Spec.FailoverCluster
	}
	return t.Spec.Host
}

// byHosts tells whether a host has a VM that may use what is reserved, or whether one has
// not said what it holds.
func (h *hold) byHosts(hosts *census.Census, e *evidence) bool {
	for _, place := range hosts.Places {
		for i := range place.VMs {
			if vm := &place.VMs[i]; e.mayUse(vm, &h.Spec) {
				h.because(capstanv1.UnclaimedOrphansFound, "VM %s%s on host %s may use it", vm.Stamp.ID, ofOwner(vm.Owner), place.HostOf(vm).Name)
				return true
			}
		}
	}
	for _, place := range hosts.Places {
		if reason, why := place.Unsettled(); reason != "" {
			h.because(capstanv1.UnclaimedWaitingForHost, "%s, and may have a VM that uses it: bring it back, or delete its HyperVHost if it is gone for good", why)
			return true
		}
	}
	return false
}

func ofOwner(owner string) string {
	if owner == "" {
		return ""
	}
	return " of " + owner
}

func stillHeld(all []*hold) []*hold {
	return slices.DeleteFunc(all, func(h *hold) bool { return h.freed })
}
