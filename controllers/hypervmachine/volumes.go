package hypervmachine

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// faultedVolume is for a VM with a disk that its host cannot read, as the host itself
// says. One that is silent says nothing, whatever it said last.
func faultedVolume(e *evidence) *cause {
	host := hostOf(e)
	if host == nil || !conditions.IsTrue(host, capstanv1.AgentConnectedCondition) {
		return nil
	}
	var worst *cause
	for _, disk := range e.vm.Place().Disks {
		c := faultOf(e, host, disk)
		if c != nil && (worst == nil || c.since.Before(worst.since)) {
			worst = c
		}
	}
	if worst == nil {
		return nil
	}
	worst.reason, worst.status, worst.lingers = capstanv1.ReasonVolumeFault, metav1.ConditionFalse, true
	worst.remedy = "bring the volume back"
	worst.due = e.after(worst.since, e.timeouts.VolumeFault)
	return worst
}

// faultOf is about one disk. A volume that the host does not even name says nothing as
// long as the VM runs, or is at work: it may have been renamed.
func faultOf(e *evidence, host *capstanv1.HyperVHost, disk capstanv1.DiskPlacement) *cause {
	at := slices.IndexFunc(host.Status.Volumes, func(v capstanv1.HostVolume) bool { return v.Name == disk.Volume })
	if at >= 0 {
		v := &host.Status.Volumes[at]
		if !v.IsOut() || v.FaultSince == nil {
			return nil
		}
		return &cause{since: v.FaultSince.Time, message: fmt.Sprintf("volume %s with disk %s is %s on host %s", v.Name, disk.Name, v.Fault, host.Name)}
	}
	ready := conditions.Get(e.vm, capstanv1.ReadyCondition)
	if len(host.Status.Volumes) == 0 || ready == nil || ready.Status != metav1.ConditionFalse || !conditions.IsFault(ready.Reason) {
		return nil
	}
	return &cause{since: e.foundSince(capstanv1.ReasonVolumeFault), message: fmt.Sprintf("host %s has no volume %s, where disk %s is", host.Name, disk.Volume, disk.Name)}
}

// hostOf is the host that has the VM now, or nil if it is not known.
func hostOf(e *evidence) *capstanv1.HyperVHost {
	name := e.vm.Status.Host
	if name == "" {
		name = e.vm.Place().Host
	}
	for i := range e.hosts {
		if e.hosts[i].Name == name {
			return &e.hosts[i]
		}
	}
	return nil
}

// after is when a time-out is over that began at a moment.
func (e *evidence) after(since time.Time, timeout time.Duration) time.Time {
	return e.reckoned(since).Add(timeout)
}

// reckoned is from when something counts. What began before this manager did is reckoned
// from then on: it has not been watched for longer.
func (e *evidence) reckoned(since time.Time) time.Time {
	if since.Before(e.watched) {
		return e.watched
	}
	return since
}

// foundSince is since when there is a cause of which nobody else tells since when: since it
// was found first, and without a break. The time of a condition would be that of its
// status, which it may have had for another reason.
func (e *evidence) foundSince(reason string) time.Time {
	if e.fault != nil && e.fault.Reason == reason {
		return e.fault.Since.Time
	}
	return e.now
}
