package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reason is why a VM has no place, for conditions and metrics.
type Reason string

// Reasons why a VM has no place.
const (
	// HostUnreachable means that a host that does not answer would do, or that
	// nothing is known of it. It is never a lack of capacity.
	HostUnreachable Reason = "HostUnreachable"
	// HostUnschedulable means that all hosts are in maintenance or lost.
	HostUnschedulable Reason = "HostUnschedulable"
	// HostDraining means that all hosts are being drained.
	HostDraining    Reason = "HostDraining"
	NoHost          Reason = "NoHost"
	NoFailureDomain Reason = "NoFailureDomain"
	NoSwitch        Reason = "NoSwitch"
	OutOfProcessors Reason = "OutOfProcessors"
	OutOfMemory     Reason = "OutOfMemory"
	// HostNotSelected means that no host has the labels that are asked for.
	HostNotSelected Reason = "HostNotSelected"
	// NoSpareHost means that what memory there is must stay free, so that the VMs of
	// any one host of a failover cluster can start on the others.
	NoSpareHost Reason = "NoSpareHost"
	// NotApart means that every host or volume that would do has a member of the
	// VM's group, beside which it may not be.
	NotApart Reason = "NotApart"
	// VolumeNotSelected means that no volume is among those that are asked for.
	VolumeNotSelected Reason = "VolumeNotSelected"
	// NoVolume means that hosts reach no volume at all.
	NoVolume      Reason = "NoVolume"
	VolumeFaulted Reason = "VolumeFault"
	NoImage       Reason = "NoImage"
	OutOfStorage  Reason = "OutOfStorage"
	// InvalidRequest means that no snapshot could ever satisfy the request.
	InvalidRequest Reason = "InvalidRequest"
)

// Unplaceable is why a VM has no place.
type Unplaceable struct {
	Reason Reason
	// Message is for a person: the resource, how much is asked, what the best
	// candidate has.
	Message string
	// Asked and Best are set where an amount is lacking, in processors, MiB or
	// bytes; BestAt names the host or volume that has the most.
	Asked, Best int64
	BestAt      string
	// Counts tells of how many hosts each reason holds, in the order of the
	// filters. Every host is counted once.
	Counts []Count
	// Trace is nil unless it was asked for.
	Trace *Trace
}

// Count is the number of hosts that a reason holds for.
type Count struct {
	Reason Reason
	Hosts  int
}

// Error implements error.
func (u *Unplaceable) Error() string { return u.Message }

// unplaceable tells why nothing is left of the candidates.
func (p *Planner) unplaceable(a *ask, tr *Trace) *Unplaceable {
	u := &Unplaceable{Trace: tr, Reason: NoHost}
	if len(p.hosts) == 0 {
		u.Message = "there are no hosts"
		return u
	}
	all := make([]verdict, len(p.hosts))
	var furthest verdict
	wouldFit := map[Unschedulable]int{}
	for i := range p.hosts {
		h := &p.hosts[i]
		all[i] = p.judge(a, h)
		switch {
		case h.unschedulable == Schedulable && all[i].stage > furthest.stage:
			furthest = all[i]
		case h.unschedulable != Schedulable && (all[i].fits() || p.unknown(a, h)):
			wouldFit[h.unschedulable]++
		}
	}
	u.Counts = p.counts(all)
	silent := slices.ContainsFunc(p.hosts, func(h host) bool { return h.unschedulable == HostSilent })
	othersThanDrained := slices.ContainsFunc(p.hosts, func(h host) bool { return h.unschedulable != HostDrains })
	switch {
	case wouldFit[HostSilent] > 0:
		u.Reason = HostUnreachable
		u.Message = fmt.Sprintf("%s would fit but cannot be reached", hosts(wouldFit[HostSilent]))
	case furthest.stage > 0:
		p.lacking(a, u, all, furthest)
	case silent:
		u.Reason = HostUnreachable
		u.Message = "no host can be reached"
	case !othersThanDrained:
		u.Reason = HostDraining
		u.Message = "all hosts are being drained"
	default:
		u.Reason = HostUnschedulable
		u.Message = "all hosts are in maintenance or lost"
	}
	u.Message += summary(u, wouldFit)
	return u
}

// unknown tells that a silent host was never heard of, so that nothing but its
// administrator said of it speaks against it.
func (p *Planner) unknown(a *ask, h *host) bool {
	if h.known {
		return false
	}
	for i := range adminFilters {
		if !hostFilters[i].fits(p, a, h) {
			return false
		}
	}
	return true
}

// lacking fills in what the candidates that got furthest do not have.
func (p *Planner) lacking(a *ask, u *Unplaceable, all []verdict, furthest verdict) {
	u.Reason = furthest.reason
	var where []string
	n := 0
	volumes := map[int32]bool{}
	for i, v := range all {
		if p.hosts[i].unschedulable != Schedulable || v.stage != furthest.stage {
			continue
		}
		n++
		where = append(where, p.hosts[i].name)
		if v.volume >= 0 {
			for _, x := range p.scopes[p.hosts[i].scope].volumes {
				volumes[x] = true
			}
		}
		if v.amount && (u.BestAt == "" || v.has > u.Best) {
			u.Asked, u.Best, u.BestAt = v.asked, v.has, v.at
		}
	}
	switch u.Reason {
	case NoFailureDomain:
		u.Message = fmt.Sprintf("failure domain: none of %s is in %q", hosts(n), a.FailureDomain)
	case NoSwitch:
		u.Message = fmt.Sprintf("switches: none of %s has %s", hosts(n), allOf(a.Switches))
	case HostNotSelected:
		u.Message = fmt.Sprintf("host selector: none of %s has the labels %s", hosts(n), requirements(a.HostLabels))
	case NoSpareHost:
		u.Message = fmt.Sprintf("spare host: asked %s, but beyond what is kept free in case a host of the failover cluster fails there are %s (%s)",
			furthest.unit.of(u.Asked), furthest.unit.of(max(u.Best, 0)), u.BestAt)
	case NotApart:
		if furthest.volume < 0 {
			u.Message = fmt.Sprintf("apart: each of %s that would do has a machine of %s", hosts(n), a.Group)
			break
		}
		u.Message = fmt.Sprintf("apart: none of %s that would do is without a machine of %s", plural(len(volumes), "volume"), a.Group)
	case VolumeNotSelected:
		u.Message = fmt.Sprintf("volumes: none of %s is asked for (%s)", plural(len(volumes), "volume"), chosenVolumes(a))
	case OutOfProcessors, OutOfMemory:
		u.Message = fmt.Sprintf("%s: asked %s, the most any of %s has free is %s (%s)",
			furthest.filter, furthest.unit.of(u.Asked), hosts(n), furthest.unit.of(max(u.Best, 0)), u.BestAt)
	case NoVolume:
		u.Message = fmt.Sprintf("storage: %s (%s) have no volume", hosts(n), strings.Join(where, ", "))
	case VolumeFaulted:
		u.Message = fmt.Sprintf("volume fault: all of %s are faulted, in maintenance or dismounted", plural(len(volumes), "volume"))
	case NoImage:
		u.Message = fmt.Sprintf("image: %s is on none of %s and cannot be staged", a.lead.image.SHA256, plural(len(volumes), "volume"))
	case OutOfStorage:
		u.Message = fmt.Sprintf("storage: asked %s for %s, the most any of %s has free is %s (%s)",
			inBytes.of(u.Asked), furthest.what, plural(len(volumes), "volume"), inBytes.of(u.Best), u.BestAt)
		if furthest.together {
			u.Message = fmt.Sprintf("storage: asked %s for %s, which do not fit together on any host's volumes; the most one volume has free is %s (%s)",
				inBytes.of(u.Asked), furthest.what, inBytes.of(u.Best), u.BestAt)
		}
	case InvalidRequest, NoHost, HostUnreachable, HostUnschedulable, HostDraining:
		// Decided without a candidate in hand, where the message is made, too.
	}
}

// counts gives each host one reason.
func (p *Planner) counts(all []verdict) []Count {
	type slot struct {
		Count
		stage int
	}
	var slots []slot
	for i, v := range all {
		reason, stage := v.reason, v.stage
		switch p.hosts[i].unschedulable {
		case Schedulable:
		case HostSilent:
			reason, stage = HostUnreachable, -3
		case HostDrains:
			reason, stage = HostDraining, -2
		default:
			reason, stage = HostUnschedulable, -1
		}
		at := slices.IndexFunc(slots, func(s slot) bool { return s.Reason == reason })
		if at < 0 {
			at = len(slots)
			slots = append(slots, slot{Count{Reason: reason}, stage})
		}
		slots[at].Hosts++
	}
	slices.SortFunc(slots, func(a, b slot) int { return cmp.Compare(a.stage, b.stage) })
	counts := make([]Count, len(slots))
	for i, s := range slots {
		counts[i] = s.Count
	}
	return counts
}

// summary tells of the hosts that the message is not about.
func summary(u *Unplaceable, wouldFit map[Unschedulable]int) string {
	var rest []string
	for _, c := range u.Counts {
		if c.Reason != u.Reason {
			rest = append(rest, fmt.Sprintf("%s: %s", hosts(c.Hosts), c.Reason))
		}
	}
	if n := wouldFit[HostMaintenance]; n > 0 {
		rest = append(rest, hosts(n)+" in maintenance would fit")
	}
	if n := wouldFit[HostDrains]; n > 0 {
		rest = append(rest, hosts(n)+" being drained would fit")
	}
	if len(rest) == 0 {
		return ""
	}
	return "; " + strings.Join(rest, "; ")
}

func requirements(all []Requirement) string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = r.Key + " " + string(r.Operator)
		if len(r.Values) > 0 {
			out[i] += " (" + strings.Join(r.Values, ", ") + ")"
		}
	}
	return strings.Join(out, " and ")
}

func chosenVolumes(a *ask) string {
	only, except := "any", ""
	if len(a.Volumes) > 0 {
		only = strings.Join(a.Volumes, ", ")
	}
	if len(a.ExcludedVolumes) > 0 {
		except = " but " + strings.Join(a.ExcludedVolumes, ", ")
	}
	return only + except
}

func allOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "all of " + strings.Join(names, ", ")
}
