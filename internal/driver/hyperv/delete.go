package hyperv

import (
	"context"
	"errors"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// DeleteVM implements hostapi.Driver. Whatever is left by a call that was cut off is found by the next one: the claim
// goes last.
func (d *Driver) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	const op = "DeleteVM"
	if err := req.Validate(); err != nil {
		return err
	}
	p, err := d.parts(ctx, op, req.Stamp.ID)
	if err != nil {
		return err
	}
	if p.none() {
		return hostapi.NoVM(op, req.Stamp.ID)
	}
	// A VM that exists twice is deleted twice.
	if err := p.checkOwned(op, req.Stamp); err != nil && !hostapi.Is(err, hostapi.Conflict) {
		return err
	}
	if err := p.checkNode(op); err != nil {
		return err
	}
	for _, m := range p.machines {
		if err := d.destroy(ctx, op, p, m); err != nil {
			return err
		}
	}
	for _, f := range p.folders {
		if f.record == nil && len(f.entries) > 0 {
			continue
		}
		if err := d.removeFolder(f.volume.folder(p.id)); err != nil {
			return typed(op, f.volume.name, "delete the files of VM "+string(p.id)+" on volume "+f.volume.name, err)
		}
	}
	if v := p.faulted(); v != nil {
		return hostapi.Errorf(hostapi.VolumeFaulted, op, v.name, "more of VM %s may lie on volume %s, which cannot be read: %s", p.id, v.name, v.fault)
	}
	for _, c := range p.held {
		if err := d.claims.release(ctx, c); err != nil {
			return typed(op, "", "release the claim of VM "+string(p.id), err)
		}
	}
	return nil
}

// destroy takes a VM's power, its role and its configuration.
func (d *Driver) destroy(ctx context.Context, op string, p *parts, m *machine) error {
	if err := m.turnOff(ctx, op); err != nil {
		return err
	}
	doing := "remove VM " + string(p.id)
	if p.role != nil {
		_, err := m.node.Call(ctx, p.role.path, "DestroyGroup", wmi.Values{"Options": destroyOnly})
		if err != nil && !wmi.NotFound(err) {
			return typed(op, "", doing+" from the failover cluster", err)
		}
	}
	service, err := m.node.only(ctx, wmi.Virtualization, "Msvm_VirtualSystemManagementService")
	if err != nil {
		return typed(op, "", doing, err)
	}
	_, err = m.node.Run(ctx, service, "DestroySystem", wmi.Values{"AffectedSystem": m.system.Path})
	return typed(op, "", doing, err)
}

// removeFolder removes a folder that is ours. The record goes last, so that what is left is ours still.
func (d *Driver) removeFolder(path string) error {
	entries, err := d.Files.List(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	record := false
	for _, e := range entries {
		inside := join(path, e.Name)
		switch {
		case e.Name == recordName:
			record = true
			continue
		case e.Folder:
			err = d.removeFolder(inside)
		default:
			err = d.Files.Remove(inside)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if record {
		if err := d.Files.Remove(join(path, recordName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.Files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
