package census

import (
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

// Awaited is a place whose word is awaited.
type Awaited struct {
	// Why says why it has not said what it holds.
	Why string
	// Hosts are those of which one would have to answer.
	Hosts []string
	// Until is when it is not waited for any longer, zero if that is never so.
	Until time.Time
}

// Awaited are the places other than where a VM was placed that have not said what they
// hold, and that are to be waited for now. Nobody waits for those that are declared lost,
// nor for those that have been silent for as long as patience; negative patience never ends.
func (c *Census) Awaited(at capstanv1.Placement, patience time.Duration, now time.Time) []Awaited {
	var awaited []Awaited
	for _, p := range c.Places {
		reason, why := p.Unlisted()
		if reason == "" || reason == capstanv1.ReasonHostLost || p.SpeaksFor(at) {
			continue
		}
		a := Awaited{Why: why}
		if since, silent := p.silentSince(); silent && patience > 0 {
			if a.Until = since.Add(patience); !a.Until.After(now) {
				continue
			}
		}
		for _, host := range p.Hosts {
			if !host.Spec.Lost {
				a.Hosts = append(a.Hosts, host.Name)
			}
		}
		awaited = append(awaited, a)
	}
	return awaited
}
