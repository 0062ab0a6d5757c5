package placement

import "slices"

// hostFilter takes away hosts on which the VM cannot run.
type hostFilter struct {
	name   string
	reason Reason
	fits   func(*Planner, *ask, *host) bool
	// idle tells that every host passes; nil for a filter that is always asked.
	idle func(*ask) bool
	// asked and has are set for filters by amount: what is asked of the host, and
	// what it has.
	asked func(*ask) int64
	has   func(*Planner, *host) int64
	unit  unit
}

// volumeFilter takes away volumes on which the disks cannot lie.
type volumeFilter struct {
	name   string
	reason Reason
	fits   func(*Planner, *need, *volume) bool
	// idle tells that every volume passes; nil for a filter that is always asked.
	idle func(*need) bool
	has  func(*Planner, *need, *volume) int64
}

// hostState is set apart from hostFilters, since a host that does not answer is
// still judged by all others to tell "unreachable" from "full".
var hostState = hostFilter{
	name:   "host state",
	reason: HostUnschedulable,
	fits:   func(_ *Planner, _ *ask, h *host) bool { return h.unschedulable == Schedulable },
}

// hostFilters are all filters of hosts in their order: what an administrator
// decides, then what the host is, then what is left on it. The candidates that
// got furthest tell why a VM has no place.
var hostFilters = []hostFilter{
	{
		name:   "failure domain",
		reason: NoFailureDomain,
		idle:   func(a *ask) bool { return a.FailureDomain == "" },
		fits: func(_ *Planner, a *ask, h *host) bool {
			return a.FailureDomain == "" || h.domain == a.domain
		},
	},
	{
		name:   "host selector",
		reason: HostNotSelected,
		idle:   func(a *ask) bool { return len(a.HostLabels) == 0 },
		fits: func(_ *Planner, a *ask, h *host) bool {
			for i := range a.HostLabels {
				if !a.HostLabels[i].holds(h.labels) {
					return false
				}
			}
			return true
		},
	},
	{
		name:   "switches",
		reason: NoSwitch,
		fits: func(_ *Planner, a *ask, h *host) bool {
			for _, s := range a.switches {
				if !slices.Contains(h.switches, s) {
					return false
				}
			}
			return true
		},
	},
	{
		// A hypervisor does not start a VM that has more processors than it has.
		name:   "processors",
		reason: OutOfProcessors,
		unit:   inPieces,
		fits: func(p *Planner, a *ask, h *host) bool {
			return int64(a.Processors) <= freeProcessors(p, h)
		},
		asked: func(a *ask) int64 { return int64(a.Processors) },
		has:   freeProcessors,
	},
	{
		name:   "memory",
		reason: OutOfMemory,
		unit:   inMiB,
		fits:   func(_ *Planner, a *ask, h *host) bool { return a.MemoryMiB <= h.freeMemory() },
		asked:  func(a *ask) int64 { return a.MemoryMiB },
		has:    func(_ *Planner, h *host) int64 { return h.freeMemory() },
	},
	{
		// Of a host that does not answer it is not asked: whether the others have to
		// spare what they have is not known until it does.
		name:   "spare host",
		reason: NoSpareHost,
		unit:   inMiB,
		fits: func(p *Planner, a *ask, h *host) bool {
			s := &p.scopes[h.scope]
			return !s.failover || h.unschedulable != Schedulable || a.MemoryMiB <= s.spare
		},
		asked: func(a *ask) int64 { return a.MemoryMiB },
		has:   func(p *Planner, h *host) int64 { return p.scopes[h.scope].spare },
	},
	{
		name:   "host apart",
		reason: NotApart,
		idle:   func(a *ask) bool { return !a.Apart },
		fits:   func(p *Planner, a *ask, h *host) bool { return !a.Apart || p.onHost[h.index] == 0 },
	},
}

// adminFilters are the first hostFilters, which judge by what administrators say
// of a host, and so also one that was never heard of.
const adminFilters = 2

// staticFilters are the first hostFilters, which judge by what does not depend on VMs.
const staticFilters = 3

// volumeAskedFor is set apart, since it holds whatever is on a volume.
var volumeAskedFor = volumeFilter{
	name:   "volumes asked for",
	reason: VolumeNotSelected,
	idle:   func(n *need) bool { return len(n.only) == 0 && len(n.except) == 0 },
	fits: func(_ *Planner, n *need, v *volume) bool {
		return (len(n.only) == 0 || slices.Contains(n.only, v.name)) && !slices.Contains(n.except, v.name)
	},
}

// volumeFilters are all filters of volumes in their order.
var volumeFilters = []volumeFilter{
	{
		name:   "volume fault",
		reason: VolumeFaulted,
		fits: func(_ *Planner, _ *need, v *volume) bool {
			return v.fault == VolumeHealthy || v.fault == VolumeRedirected
		},
	},
	volumeAskedFor,
	{
		name:   "volume apart",
		reason: NotApart,
		idle:   func(n *need) bool { return !n.apart },
		fits:   func(p *Planner, n *need, v *volume) bool { return !n.apart || p.onVolume[v.index] == 0 },
	},
	{
		name:   "image",
		reason: NoImage,
		idle:   func(n *need) bool { return n.image == nil || n.image.Stageable },
		fits: func(_ *Planner, n *need, v *volume) bool {
			return n.image == nil || n.image.Stageable || n.staged(v)
		},
	},
	{
		name:   "storage",
		reason: OutOfStorage,
		fits: func(_ *Planner, n *need, v *volume) bool {
			staging := n.staging(v)
			return v.provisioned+n.bytes+staging <= v.limit && v.free-staging >= v.reserve
		},
		has: func(_ *Planner, n *need, v *volume) int64 {
			staging := n.staging(v)
			if v.free-staging < v.reserve {
				return 0
			}
			return max(v.limit-v.provisioned-staging, 0)
		},
	},
}

func freeProcessors(_ *Planner, h *host) int64 {
	return max(min(h.processors, h.maxProcessors-h.usedProcessors), 0)
}

// filters are those that may take something away, so that only they are asked of
// thousands of hosts and volumes.
type filters struct {
	ofHosts   []*hostFilter
	ofVolumes []*volumeFilter
}

// prepare keeps the filters that are not idle.
func (f *filters) prepare(a *ask) {
	f.ofHosts, f.ofVolumes = f.ofHosts[:0], f.ofVolumes[:0]
	for i := range hostFilters {
		if filter := &hostFilters[i]; filter.idle == nil || !filter.idle(a) {
			f.ofHosts = append(f.ofHosts, filter)
		}
	}
	for i := range volumeFilters {
		if filter := &volumeFilters[i]; filter.idle == nil || !filter.idle(&a.lead) {
			f.ofVolumes = append(f.ofVolumes, filter)
		}
	}
}

func (f *filters) hostFits(p *Planner, a *ask, h *host) bool {
	if !hostState.fits(p, a, h) || slices.Contains(a.excluded, h.scope) {
		return false
	}
	for _, filter := range f.ofHosts {
		if !filter.fits(p, a, h) {
			return false
		}
	}
	return true
}

func (f *filters) volumeFits(p *Planner, n *need, v *volume) bool {
	for _, filter := range f.ofVolumes {
		if !filter.fits(p, n, v) {
			return false
		}
	}
	return true
}

func (p *Planner) volumeFits(n *need, v *volume) bool {
	for i := range volumeFilters {
		if !volumeFilters[i].fits(p, n, v) {
			return false
		}
	}
	return true
}
