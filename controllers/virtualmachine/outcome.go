package virtualmachine

import (
	"errors"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// outcome is what a host's error means for a VM. A change of reason is told as
// one event; retries that end the same way are silent.
type outcome struct {
	class hostapi.Class
	// phase limits the row to errors in that phase.
	phase   capstanv1.VMPhase
	reason  string
	requeue time.Duration
}

// outcomes is the one table from error class to condition and retry. The first
// row that fits counts. docs/errors.md shows it.
var outcomes = []outcome{
	{class: hostapi.NotFound, phase: capstanv1.VMStaging, reason: capstanv1.ReasonImageNotFound, requeue: 15 * time.Second},
	{class: hostapi.Conflict, phase: capstanv1.VMStaging, reason: capstanv1.ReasonImageNotFound, requeue: 15 * time.Second},
	{class: hostapi.NotFound, reason: capstanv1.ReasonVMNotFound, requeue: 30 * time.Second},
	{class: hostapi.Conflict, reason: capstanv1.ReasonConflict, requeue: 15 * time.Second},
	{class: hostapi.NotOwned, reason: capstanv1.ReasonNotOwned, requeue: time.Minute},
	{class: hostapi.OutOfCapacity, reason: capstanv1.ReasonOutOfCapacity, requeue: 15 * time.Second},
	{class: hostapi.VolumeFaulted, reason: capstanv1.ReasonVolumeFault, requeue: 15 * time.Second},
	{class: hostapi.HostUnreachable, reason: capstanv1.ReasonHostUnreachable, requeue: 5 * time.Second},
	{class: hostapi.Transient, reason: capstanv1.ReasonTransientError, requeue: 2 * time.Second},
	{class: hostapi.InvalidArgument, reason: capstanv1.ReasonInvalidArgument, requeue: time.Minute},
}

// How often something is looked at that no error stands against.
const (
	pollCache   = 50 * time.Millisecond
	pollWork    = 500 * time.Millisecond
	pollGuest   = 500 * time.Millisecond
	pollSlow    = 5 * time.Second
	pollRunning = 30 * time.Second
	pollPlacing = 15 * time.Second
	pollWaiting = 5 * time.Second
	pollRepair  = 30 * time.Second
	// pollElsewhere costs a call to every host.
	pollElsewhere = 15 * time.Second
	// pollsPerWait is into how many parts the time is cut that a guest has taken.
	pollsPerWait = 10
)

// wait is why a phase is not over yet.
type wait struct {
	reason  string
	message string
	// detail is told in the phase's own condition alone: others repeat what is in Ready.
	detail string
	// requeue is when to look again; zero leaves it to a watch.
	requeue time.Duration
	// unknown tells that nothing is known of the VM now.
	unknown bool
	// class is that of the host's error, if one is why.
	class hostapi.Class
}

// waitOf turns a host's error into what is waited for. It returns nil for errors
// of which no host is the cause.
func waitOf(phase capstanv1.VMPhase, err error) *wait {
	var typed *hostapi.Error
	if !errors.As(err, &typed) {
		return nil
	}
	for _, o := range outcomes {
		if o.class == typed.Class && (o.phase == "" || o.phase == phase) {
			return &wait{
				reason: o.reason, message: err.Error(), requeue: o.requeue,
				unknown: typed.Class == hostapi.HostUnreachable, class: typed.Class,
			}
		}
	}
	return nil
}
