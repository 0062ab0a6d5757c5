package placement

import (
	"fmt"
	"slices"
)

// verdict is how far a host got, its state left aside.
type verdict struct {
	// stage is the number of filters passed plus one; more is nearer to fitting.
	stage  int
	reason Reason // empty if it fits
	filter string
	what   string
	unit   unit
	// amount tells that asked, has and at are set.
	amount     bool
	asked, has int64
	at         string
	// volume is a volume of the scope if volumes are what is lacking, else -1.
	volume int32
	// together means that each disk fits, but not all of them.
	together bool
}

func (v *verdict) fits() bool { return v.reason == "" }

// judge asks every filter but the host's state.
func (p *Planner) judge(a *ask, h *host) verdict {
	v := verdict{volume: -1, at: h.name}
	for i := range hostFilters {
		f := &hostFilters[i]
		v.stage++
		if f.fits(p, a, h) {
			continue
		}
		v.reason, v.filter, v.unit = f.reason, f.name, f.unit
		if f.has != nil {
			v.amount, v.asked, v.has = true, f.asked(a), f.has(p, h)
		}
		return v
	}
	return p.judgeVolumes(a, h, v)
}

func (p *Planner) judgeVolumes(a *ask, h *host, v verdict) verdict {
	v.stage++
	volumes := p.scopes[h.scope].volumes
	if len(volumes) == 0 {
		v.reason, v.filter = NoVolume, "volumes"
		return v
	}
	v.volume = volumes[0]
	v.what, v.unit, v.asked = a.lead.name, inBytes, a.lead.bytes
	furthest := -1
	for _, x := range volumes {
		vol := &p.volumes[x]
		passed := p.passed(&a.lead, vol)
		if passed == len(volumeFilters) {
			v.stage += passed
			v.reason = ""
			return p.judgeTogether(a, h, v)
		}
		f := &volumeFilters[passed]
		if passed > furthest {
			furthest, v.reason, v.filter, v.amount = passed, f.reason, f.name, false
		}
		if passed == furthest && f.has != nil {
			if has := f.has(p, &a.lead, vol); !v.amount || has > v.has {
				v.amount, v.has, v.at = true, has, vol.name
			}
		}
	}
	v.stage += furthest + 1
	return v
}

// judgeTogether tells hosts whose volumes have room for the lead but not for all
// disks.
func (p *Planner) judgeTogether(a *ask, h *host, v verdict) verdict {
	if !slices.Contains(a.excluded, h.scope) {
		if a.oneVolume || len(a.Disks) == 1 || h.unschedulable == Schedulable {
			return v
		}
		if p.anyLeadSpreads(a, h) {
			return v
		}
	}
	v.reason, v.filter, v.together, v.asked = OutOfStorage, "storage", true, 0
	v.what = fmt.Sprintf("%d disks", len(a.Disks))
	for _, d := range a.Disks {
		v.asked += d.Bytes
	}
	for _, x := range p.scopes[h.scope].volumes {
		f := &volumeFilters[len(volumeFilters)-1]
		vol := &p.volumes[x]
		if p.passed(&a.lead, vol) < len(volumeFilters)-1 {
			continue
		}
		if has := f.has(p, &a.lead, vol); !v.amount || has > v.has {
			v.amount, v.has, v.at = true, has, vol.name
		}
	}
	return v
}

// anyLeadSpreads searches a scope that was no candidate. The search itself lifts
// the boot disk if need be, so one lead volume stands for all.
func (p *Planner) anyLeadSpreads(a *ask, h *host) bool {
	for _, x := range p.scopes[h.scope].volumes {
		if p.volumeFits(&a.lead, &p.volumes[x]) {
			_, ok := p.spread(a, x)
			return ok
		}
	}
	return false
}

// passed is the number of filters that the volume passes.
func (p *Planner) passed(n *need, v *volume) int {
	for i := range volumeFilters {
		if !volumeFilters[i].fits(p, n, v) {
			return i
		}
	}
	return len(volumeFilters)
}
