package machinectr

import (
	"context"
	"errors"
	"os"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// DeleteVM implements hostapi.Driver. Whatever is left by a call that was cut
// off is found by the next one: the claim goes last, once every volume that it
// names was read and holds nothing of the VM.
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
	if err := p.checkOwned(op, req.Stamp); err != nil {
		return err
	}
	if err := d.turnOff(ctx, op, p); err != nil {
		return err
	}
	if err := d.deleteFiles(ctx, op, p); err != nil {
		return err
	}
	if p.claim != nil {
		for _, name := range p.claim.Volumes {
			if _, err := d.usable(op, name); err != nil {
				return err
			}
		}
	}
	for _, step := range []func() error{
		func() error { return errors.Join(d.removeNICs(ctx, p.id), d.groups.remove(ctx, p.id)) },
		func() error { return d.removeRunFolder(p.id) },
		func() error { return removeFile(d.configPath(p.id)) },
		func() error { return removeFile(d.claimPath(p.id)) },
	} {
		if err := d.change(ctx, step); err != nil {
			return typed(op, "", "remove VM "+string(p.id), err)
		}
	}
	return nil
}

// deleteFiles deletes what can be read of the VM now.
func (d *Driver) deleteFiles(ctx context.Context, op string, p *parts) error {
	remove := func(volume, folder string) error {
		return typed(op, volume, "delete "+folder, d.change(ctx, func() error { return removeStamped(folder) }))
	}
	for _, f := range p.disks {
		if err := remove(f.volume.Name, f.folder); err != nil {
			return err
		}
	}
	for _, f := range p.seeds {
		if err := remove(f.volume.Name, f.folder); err != nil {
			return err
		}
	}
	for _, folder := range p.unmade {
		if err := remove("", folder); err != nil {
			return err
		}
	}
	for _, v := range d.healthy() {
		if err := d.change(ctx, func() error { return removeEmpty(v.vm(p.id)) }); err != nil {
			return typed(op, v.Name, "delete the folder of VM "+string(p.id), err)
		}
	}
	return nil
}

// removeStamped removes a folder with its stamp: the folder loses its name first,
// so that what is left of one bears no name that means anything.
func removeStamped(folder string) error {
	part := folder
	if suffix := len(folder) - len(partial); suffix < 0 || folder[suffix:] != partial {
		part = folder + partial
		if err := os.RemoveAll(part); err != nil {
			return err
		}
		if err := os.Rename(folder, part); err != nil {
			return err
		}
	}
	return os.RemoveAll(part)
}
