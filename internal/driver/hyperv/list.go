package hyperv

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// ListVMs implements hostapi.Driver.
func (d *Driver) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	const op = "ListVMs"
	l, err := d.look(ctx, op)
	if err != nil {
		return nil, err
	}
	ids, err := l.known(ctx)
	if err != nil {
		return nil, err
	}
	out := []hostapi.VM{}
	for _, id := range ids {
		vm, err := l.vm(ctx, id)
		if err != nil {
			// Those who were cut off have read nothing wrong, and without its host nothing
			// can be read.
			if ctx.Err() != nil || hostapi.Is(err, hostapi.HostUnreachable) {
				return nil, err
			}
			vm = l.unread(id)
		}
		if vm != nil {
			out = append(out, *vm)
		}
	}
	return out, nil
}

// vm returns the VM of an ID, or nil if there is none.
func (l *picture) vm(ctx context.Context, id hostapi.VMID) (*hostapi.VM, error) {
	p, err := l.parts(ctx, id)
	if err != nil || p.none() {
		return nil, err
	}
	vm, err := l.describe(ctx, l.op, p)
	return &vm, err
}

// unread is a VM that could not be read: that one has gone wrong must not hide the others,
// nor that it is there. Where nothing but a folder is left that could not be read, nothing
// can run on it.
func (l *picture) unread(id hostapi.VMID) *hostapi.VM {
	vm := &hostapi.VM{Stamp: hostapi.Stamp{ID: id}, State: hostapi.StatePartial, Heartbeat: hostapi.HeartbeatUnknown}
	if _, clustered := l.site.roles[id]; clustered || len(l.site.down) > 0 {
		vm.State = hostapi.StateFailed
	}
	for _, c := range l.claims {
		if c.Stamp.ID == id {
			vm.Stamp, vm.Host = c.Stamp, c.Node
		}
	}
	for _, name := range l.site.up {
		for _, m := range l.seen[name] {
			if m.notes.Stamp.ID == id {
				vm.Stamp, vm.Name, vm.Owner, vm.Host = m.notes.Stamp, m.notes.Name, m.notes.Owner, name
				vm.State = hostapi.StateFailed
			}
		}
	}
	return vm
}

// known are the IDs of everything that may bear a stamp, in order.
func (l *picture) known(ctx context.Context) ([]hostapi.VMID, error) {
	ids := map[hostapi.VMID]bool{}
	for _, v := range l.volumes {
		if !v.usable() {
			continue
		}
		entries, err := l.Files.List(v.vms())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, typed(l.op, v.name, "list the VMs on volume "+v.name, err)
		}
		for _, e := range entries {
			ids[hostapi.VMID(e.Name)] = true
		}
	}
	for _, c := range l.claims {
		ids[c.Stamp.ID] = true
	}
	for _, name := range l.site.up {
		found, err := l.on(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			ids[m.notes.Stamp.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}
