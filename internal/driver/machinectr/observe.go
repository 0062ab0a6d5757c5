package machinectr

import (
	"fmt"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Observer tells what is on a host, to whoever looks at it beside its agent. It takes
// nothing into use and changes nothing.
type Observer struct{ driver *Driver }

// Observe returns an observer of a host, which need not be there.
func Observe(options Options) (*Observer, error) {
	// Guests are seen without it.
	options.Layer = ""
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	groups, err := findCgroups(o.Host)
	if err != nil {
		return nil, err
	}
	return &Observer{&Driver{Options: o, groups: groups}}, nil
}

// Guest is what is there of a guest.
type Guest struct {
	ID hostapi.VMID
	// Init is its first process, as this machine sees it, 0 if there is none.
	Init int
	// Console is the file of its console, which may not be there.
	Console string
}

// Guests are those that run, and those of which the last run has left a console.
func (o *Observer) Guests() ([]Guest, error) {
	ids, err := o.driver.guests()
	if err != nil {
		return nil, fmt.Errorf("look for the guests of host %s: %w", o.driver.Host, err)
	}
	guests := make([]Guest, 0, len(ids))
	for _, id := range ids {
		seen, err := o.driver.look(id)
		if err != nil {
			return nil, fmt.Errorf("look at guest %s of host %s: %w", id, o.driver.Host, err)
		}
		guests = append(guests, Guest{ID: id, Init: seen.init, Console: filepath.Join(o.driver.runPath(id), consoleFile)})
	}
	return guests, nil
}

// Leftovers are what the host has of VMs: claims, configurations, what lies on volumes,
// and guests. Where none is left there are no VMs.
func (o *Observer) Leftovers() ([]string, error) {
	d := o.driver
	var left []string
	for what, of := range map[string]func() ([]hostapi.VMID, error){
		"claim":         func() ([]hostapi.VMID, error) { return d.known(d.claimPath) },
		"configuration": func() ([]hostapi.VMID, error) { return d.known(d.configPath) },
		"guest":         d.guests,
	} {
		ids, err := of()
		if err != nil {
			return nil, fmt.Errorf("look for each %s on host %s: %w", what, d.Host, err)
		}
		for _, id := range ids {
			left = append(left, fmt.Sprintf("%s of VM %s", what, id))
		}
	}
	for _, v := range d.Volumes {
		ids, err := names(v.vms())
		if err != nil {
			return nil, fmt.Errorf("look at volume %s of host %s: %w", v.Name, d.Host, err)
		}
		for _, id := range ids {
			left = append(left, fmt.Sprintf("disks or seed of VM %s on volume %s", id, v.Name))
		}
	}
	return left, nil
}
