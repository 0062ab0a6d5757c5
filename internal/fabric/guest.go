package fabric

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// GuestRuntime runs what is inside VMs. The fabric gives it only what firmware
// and devices give a real guest.
type GuestRuntime interface {
	// Start runs a guest from its disk and its seed, and returns once its
	// integration services answer. The context ends when the VM loses power.
	Start(ctx context.Context, m Machine, report func(Report)) (Guest, error)
}

// Guest is a guest that runs.
type Guest interface {
	// Stop ends it and returns when nothing of it is left: the next one binds the
	// same addresses.
	Stop()
	// Link takes the cables of its NICs out, or puts them in again. It fails where there
	// are none.
	Link(up bool) error
}

// Elector is a guest that may have a vote in a cluster of etcd.
type Elector interface {
	// Electorate is that cluster, and nil while the guest has no vote.
	Electorate() *fabricapi.Electorate
}

// Machine is what a guest finds when it boots.
type Machine struct {
	// GUID is the VM's firmware identity.
	GUID string
	// Name is for people.
	Name string
	// OS and KubernetesVersion are what its boot disk's image contains.
	OS                string
	KubernetesVersion string
	// Fault is what does not work in that image.
	Fault fabricapi.ImageFault
	MACs  []string
	// Seed is the ISO in the DVD drive, nil for none.
	Seed []byte
	// DiskDir holds what the guest wrote to its boot disk. It lives as long as
	// the disk does. Empty for a VM without a disk.
	DiskDir string
}

// Report is what a guest's integration services tell the host.
type Report struct {
	// Addresses by MAC address.
	Addresses map[string][]string
	// Console are lines written since the last report.
	Console []string
}

// NoGuests is a GuestRuntime of guests that boot and do nothing.
type NoGuests struct{}

// Start implements GuestRuntime.
func (NoGuests) Start(context.Context, Machine, func(Report)) (Guest, error) { return NoGuests{}, nil }

// Stop implements Guest.
func (NoGuests) Stop() {}

// Link implements Guest.
func (NoGuests) Link(bool) error { return nil }
