package outage

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// alarm is that most of what there is has gone at once.
type alarm struct {
	message string
	// since is when most was gone, and over when that is over by itself, if it is known.
	since, over time.Time
}

// hostsGone returns that most hosts are gone, or nil. Where most of what there is has gone
// at once, something else has happened than that hosts were lost: what is left would be
// overrun, and all of it was in vain once the power is back.
func hostsGone(hosts []capstanv1.HyperVHost, now time.Time, restart time.Duration) *alarm {
	silent, returned, known := silentHosts(hosts, now.Add(-restart))
	switch {
	case 2*len(silent) > known:
		return &alarm{message: fmt.Sprintf("%d of %d hosts do not answer", len(silent), known), since: majority(silent, known)}
	case len(silent) > 0 && 2*(len(silent)+len(returned)) > known:
		// Those that are still away may be about to follow.
		return &alarm{
			message: fmt.Sprintf("%d of %d hosts do not answer, and %d have come back only now", len(silent), known, len(returned)),
			since:   majority(slices.Concat(silent, returned), known), over: latest(returned...).Add(restart),
		}
	}
	return nil
}

// volumesGone returns that most volumes are gone, or nil.
func volumesGone(hosts []capstanv1.HyperVHost) *alarm {
	// Nearly always none is, which is seen without sorting out who reports which.
	if !slices.ContainsFunc(hosts, hasVolumeOut) {
		return nil
	}
	faults, volumes := faultyVolumes(hosts)
	if 2*len(faults) <= volumes {
		return nil
	}
	return &alarm{message: fmt.Sprintf("%d of %d volumes cannot be read", len(faults), volumes), since: majority(faults, volumes)}
}

// silentHosts tells since when hosts are silent, and since when those answer that came
// back after a moment, of all that have ever answered and are not given up.
func silentHosts(hosts []capstanv1.HyperVHost, after time.Time) (silent, returned []time.Time, known int) {
	for i := range hosts {
		host := &hosts[i]
		connected := conditions.Get(host, capstanv1.AgentConnectedCondition)
		if host.Spec.Lost || !host.DeletionTimestamp.IsZero() || host.Status.Memory == nil || connected == nil {
			continue
		}
		known++
		switch since := connected.LastTransitionTime.Time; {
		case connected.Status == metav1.ConditionFalse && connected.Reason == capstanv1.ReasonHostUnreachable:
			silent = append(silent, since)
		case connected.Status == metav1.ConditionTrue && since.After(after):
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

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}
