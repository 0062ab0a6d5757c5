package hyperv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const opEnsure = "EnsureVM"

// maxDisks is how many disks a SCSI controller takes beside the DVD drive, which has the last place.
const (
	maxDisks = 63
	dvdSlot  = 63
)

// ensuring is one EnsureVM: what is wanted, what is there, and the VM as each step leaves it.
type ensuring struct {
	*Driver
	req hostapi.EnsureVMRequest
	*parts
	// owner is the host that has the VM, or defines it.
	owner *node
	m     *machine
}

// EnsureVM implements hostapi.Driver.
func (d *Driver) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	if err := req.Validate(); err != nil {
		return hostapi.VM{}, err
	}
	if err := checkNames(req); err != nil {
		return hostapi.VM{}, err
	}
	req, err := sized(req)
	if err != nil {
		return hostapi.VM{}, err
	}
	p, err := d.parts(ctx, opEnsure, req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkOwned(opEnsure, req.Stamp); err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkNode(opEnsure); err != nil {
		return hostapi.VM{}, err
	}
	e := &ensuring{Driver: d, req: req, parts: p, m: p.machine()}
	// The claim comes before anything that could be doubled, the role before the start, and the start after
	// everything that a guest could miss.
	for _, step := range []func(context.Context) error{
		e.checkCapacity, e.checkVolumes, e.takeClaim, e.choose, e.makeDisks, e.powerOff, e.configure, e.attachDisks, e.connect, e.changeSeed,
		e.bootFirstDisk, e.takeRole, e.powerOn,
	} {
		if err := step(ctx); err != nil {
			return hostapi.VM{}, err
		}
	}
	return d.get(ctx, opEnsure, req.Stamp.ID)
}

func (e *ensuring) typed(volume, doing string, err error) error {
	return typed(opEnsure, volume, fmt.Sprintf("%s of VM %s", doing, e.id), err)
}

func (e *ensuring) conflict(resource, format string, args ...any) error {
	return hostapi.Errorf(hostapi.Conflict, opEnsure, resource, "VM %s: %s", e.id, fmt.Sprintf(format, args...))
}

// checkCapacity refuses what Hyper-V would refuse as a wrong parameter, or once the VM is there and cannot be started. A VM
// that another host has is that host's to judge: it may have more, and its namespace of Windows' own is closed to the account.
func (e *ensuring) checkCapacity(ctx context.Context) error {
	if e.m != nil && e.m.node.name != e.Host {
		return nil
	}
	own, err := e.node(ctx, e.Host)
	if err != nil {
		return e.typed("", "look at the host", err)
	}
	has, err := e.computer(ctx, own)
	if err != nil {
		return e.typed("", "look at the host", err)
	}
	if int64(e.req.Processors) > has.processors {
		return hostapi.Errorf(hostapi.OutOfCapacity, opEnsure, hostapi.ResourceProcessors,
			"VM %s: %d processors are wanted, and host %s has %d", e.id, e.req.Processors, e.Host, has.processors)
	}
	if e.req.MemoryMiB > has.memoryMiB {
		return hostapi.Errorf(hostapi.OutOfCapacity, opEnsure, hostapi.ResourceMemory,
			"VM %s: %d MiB of memory are wanted, and host %s has %d", e.id, e.req.MemoryMiB, e.Host, has.memoryMiB)
	}
	return nil
}

// checkVolumes tells whether all volumes can be used. What a claim names is looked through before the claim goes, so it
// may name nothing that never was.
func (e *ensuring) checkVolumes(context.Context) error {
	for _, want := range e.req.Disks {
		if _, err := e.usableVolume(opEnsure, e.places, want.Volume); err != nil {
			return err
		}
	}
	return nil
}

func (e *ensuring) takeClaim(ctx context.Context) error {
	held := claim{Stamp: e.req.Stamp}
	if len(e.held) > 0 {
		held = e.held[0]
	}
	var volumes []string
	for _, want := range e.req.Disks {
		if !slices.Contains(volumes, want.Volume) {
			volumes = append(volumes, want.Volume)
		}
	}
	wanted, more := held.with(volumes)
	if !more && len(e.held) > 0 && held.Node != "" {
		return nil
	}
	if wanted.Node == "" {
		wanted.Node = e.Host
		if e.m != nil {
			wanted.Node = e.m.node.name
		}
	}
	e.held = []claim{wanted}
	return e.typed("", "take the claim", e.Driver.claims.put(ctx, wanted))
}

// choose returns to the host that has the VM, or that has begun to make it.
func (e *ensuring) choose(ctx context.Context) (err error) {
	name := e.held[0].Node
	switch {
	case e.m != nil:
		name = e.m.node.name
	case !contains(e.up, name):
		// The host has another name now, or the node was taken out of the cluster, and nothing of it is left there.
		name = e.Host
	}
	e.owner, err = e.node(ctx, name)
	return e.typed("", "connect to host "+name, err)
}

// makeFolder makes the VM's folder on a volume with its record, or writes the record anew.
func (e *ensuring) makeFolder(v volume, change func(map[string]diskRecord)) error {
	f := e.folder(v.name)
	if f == nil {
		if err := e.Files.MakeFolder(v.folder(e.id)); err != nil {
			return e.typed(v.name, "make the folder", err)
		}
		e.folders = append(e.folders, folder{volume: v})
		f = &e.folders[len(e.folders)-1]
	}
	if f.foreign() {
		return hostapi.Errorf(hostapi.NotOwned, opEnsure, v.name, "VM %s: what is in %s is somebody else's", e.id, v.folder(e.id))
	}
	if f.record == nil {
		f.record = &folderRecord{Stamp: e.req.Stamp, Disks: map[string]diskRecord{}}
	}
	if f.record.Disks == nil {
		f.record.Disks = map[string]diskRecord{}
	}
	change(f.record.Disks)
	err := e.Files.Write(join(v.folder(e.id), recordName), []byte(encode(f.record)))
	return e.typed(v.name, "write the record", err)
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
