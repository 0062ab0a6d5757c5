package census

import (
	"slices"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Sighting is a VM where it was found.
type Sighting struct {
	Place *Place
	Host  *capstanv1.HyperVHost
	VM    *hostapi.VM
}

// At returns the VM of an ID if it is where it was placed, or nil.
func (c *Census) At(id hostapi.VMID, at capstanv1.Placement) *Sighting {
	return c.find(id, func(p *Place) bool { return p.SpeaksFor(at) })
}

// Elsewhere returns the VM of an ID if it is where it was not placed, or nil. Whose stamp it
// bears makes no difference to whether it runs. What nothing can run on is no VM.
func (c *Census) Elsewhere(id hostapi.VMID, at capstanv1.Placement) *Sighting {
	return c.find(id, func(p *Place) bool { return !p.SpeaksFor(at) })
}

func (c *Census) find(id hostapi.VMID, wanted func(*Place) bool) *Sighting {
	for _, p := range c.Places {
		if !wanted(p) {
			continue
		}
		if vm := p.whole(id); vm != nil {
			return &Sighting{Place: p, Host: p.HostOf(vm), VM: vm}
		}
	}
	return nil
}

// Denies tells whether the place where a VM was seen has said that it does not have it.
func (c *Census) Denies(id hostapi.VMID, seen capstanv1.VMSighting) bool {
	at := capstanv1.Placement{Host: seen.Host, FailoverCluster: seen.FailoverCluster}
	return slices.ContainsFunc(c.Places, func(p *Place) bool { return p.reason == "" && p.SpeaksFor(at) && p.whole(id) == nil })
}

// Missed is a VM that the place does not have where it was placed.
type Missed struct {
	ID hostapi.VMID
	At capstanv1.Placement
	// Since is when that was found out.
	Since time.Time
	// Seen is where it was seen last instead, nil if nowhere.
	Seen *capstanv1.VMSighting
}

// Awaited is a place whose word is awaited.
type Awaited struct {
	// Why says why it has not said what it holds.
	Why string
	// Silent are those that do not answer, if none of the place does and nothing else is
	// wrong with them: it is for an administrator to say that they are lost.
	Silent []string
	// Until is when it is not waited for any longer, zero if that is never so.
	Until time.Time
}

// Awaited are the places other than where a VM was placed that have not said what they
// hold, and that are to be waited for now, those first that are waited for the longest.
// Nobody waits for those that are declared lost. The others are waited for as long as
// patience, negative patience never ends: for silent ones from when they fell silent, as
// nobody can have moved anything there since, for others from when the VM was missed. A
// place that had the VM when it was last heard is waited for without end: nothing is as
// likely as that it has it still.
func (c *Census) Awaited(vm Missed, patience time.Duration, now time.Time) []Awaited {
	var awaited []Awaited
	for _, p := range c.Places {
		reason, why := p.Unlisted()
		if reason == "" || reason == capstanv1.ReasonHostLost || p.SpeaksFor(vm.At) {
			continue
		}
		a, from := Awaited{Why: why}, vm.Since
		if since, silent := p.silentSince(); silent {
			from = since
			for _, host := range p.silent {
				a.Silent = append(a.Silent, host.Name)
			}
		}
		switch {
		case p.had(vm):
			a.Why += ", and may have the VM: it was seen there"
		case patience > 0:
			if a.Until = from.Add(patience); !a.Until.After(now) {
				continue
			}
		}
		awaited = append(awaited, a)
	}
	slices.SortStableFunc(awaited, func(a, b Awaited) int {
		switch {
		case a.Until.IsZero() == b.Until.IsZero():
			return b.Until.Compare(a.Until)
		case a.Until.IsZero():
			return -1
		default:
			return 1
		}
	})
	return awaited
}

// had tells whether the place may be the one where the VM was seen, or has told of it as one
// that does not belong there.
func (p *Place) had(vm Missed) bool {
	return slices.ContainsFunc(p.Hosts, func(host *capstanv1.HyperVHost) bool {
		if host.Spec.Lost {
			return false
		}
		if vm.Seen != nil && vm.Seen.MayBeOn(host) {
			return true
		}
		return slices.ContainsFunc(host.Status.Orphans, func(told capstanv1.HostOrphan) bool {
			return told.ID == string(vm.ID) && !told.Remnant
		})
	})
}
