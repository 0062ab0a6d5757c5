package hypervmachine

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// hold is why no machine is replaced for now, whatever its cause.
type hold struct {
	message string
	until   time.Time
}

// alarm is that most of what there is has gone at once.
type alarm struct {
	message string
	// since is when most was gone, and over when that is over by itself, if it is known.
	since, over time.Time
}

// hostsGone returns that most hosts are gone, or nil. Where most of what there is has gone
// at once, something else has happened than that hosts were lost: what is left would be
// overrun, and all of it was in vain once the power is back.
func hostsGone(e *evidence) *alarm {
	silent, returned, known := census(e)
	switch {
	case 2*len(silent) > known:
		return &alarm{message: fmt.Sprintf("%d of %d hosts do not answer", len(silent), known), since: majority(silent, known)}
	case len(silent) > 0 && 2*(len(silent)+len(returned)) > known:
		// Those that are still away may be about to follow.
		return &alarm{
			message: fmt.Sprintf("%d of %d hosts do not answer, and %d have come back only now", len(silent), known, len(returned)),
			since:   majority(slices.Concat(silent, returned), known), over: latest(returned).Add(e.timeouts.restart()),
		}
	}
	return nil
}

// volumesGone returns that most volumes are gone, or nil.
func volumesGone(e *evidence) *alarm {
	// Nearly always none is, which is seen without sorting out who reports which.
	if !slices.ContainsFunc(e.hosts, hasVolumeOut) {
		return nil
	}
	faults, volumes := faultyVolumes(e.hosts)
	if 2*len(faults) <= volumes {
		return nil
	}
	return &alarm{message: fmt.Sprintf("%d of %d volumes cannot be read", len(faults), volumes), since: majority(faults, volumes)}
}

// backOnlyNow keeps the hold on a machine whose host answers again, or whose cluster can do
// without those that do not, while its guest still boots or has not been heard of: its node has
// not been ready for as long as its health check waits, and would be replaced at this very
// moment.
func backOnlyNow(e *evidence) *hold {
	host := hostOf(e)
	if host == nil || e.machine.Annotations[clusterv1.MachineSkipRemediationAnnotation] != capstanv1.ReasonRepairHeld || !isAtRisk(e.machine) {
		return nil
	}
	connected := conditions.Get(host, capstanv1.AgentConnectedCondition)
	if connected == nil || connected.Status != metav1.ConditionTrue {
		return nil
	}
	since, message := connected.LastTransitionTime.Time, fmt.Sprintf("host %s has come back only now", host.Name)
	if e.over.After(since) {
		since, message = e.over, "most hosts and volumes are there again only now"
	}
	until := e.after(since, e.timeouts.restart())
	if !until.After(e.now) {
		return nil
	}
	return &hold{message: message, until: until}
}

// isAtRisk tells whether Cluster API may find by itself that a machine must be replaced: it
// looks at nodes, which are not ready in an outage whatever is wrong.
func isAtRisk(machine *clusterv1.Machine) bool {
	return !meta.IsStatusConditionTrue(machine.Status.Conditions, clusterv1.MachineNodeReadyCondition)
}

func (h *hold) String() string {
	return fmt.Sprintf("repair is held: %s; it goes on when that is over, or at %s", h.message, conditions.ClockTime(h.until))
}

// census tells since when hosts are silent, and since when those answer that came back a
// short while ago, of all that have ever answered and are not given up.
func census(e *evidence) (silent, returned []time.Time, known int) {
	for i := range e.hosts {
		host := &e.hosts[i]
		connected := conditions.Get(host, capstanv1.AgentConnectedCondition)
		if host.Spec.Lost || !host.DeletionTimestamp.IsZero() || host.Status.Memory == nil || connected == nil {
			continue
		}
		known++
		switch since := connected.LastTransitionTime.Time; {
		case connected.Status == metav1.ConditionFalse && connected.Reason == capstanv1.ReasonHostUnreachable:
			silent = append(silent, since)
		case connected.Status == metav1.ConditionTrue && since.Add(e.timeouts.restart()).After(e.now):
			returned = append(returned, since)
		}
	}
	return silent, returned, known
}

// faultyVolumes tells since when volumes cannot be read, of all that hosts tell of.
func faultyVolumes(hosts []capstanv1.HyperVHost) (faults []time.Time, known int) {
	for _, reporter := range capstanv1.StorageReporters(hosts) {
		if !conditions.IsTrue(reporter, capstanv1.AgentConnectedCondition) {
			continue
		}
		for i := range reporter.Status.Volumes {
			v := &reporter.Status.Volumes[i]
			known++
			if v.IsOut() && v.FaultSince != nil {
				faults = append(faults, v.FaultSince.Time)
			}
		}
	}
	return faults, known
}

func hasVolumeOut(host capstanv1.HyperVHost) bool {
	return slices.ContainsFunc(host.Status.Volumes, func(v capstanv1.HostVolume) bool { return v.IsOut() })
}

// majority is the moment at which more than half of all were gone.
func majority(gone []time.Time, of int) time.Time {
	slices.SortFunc(gone, time.Time.Compare)
	return gone[of/2]
}

func latest(times []time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}
