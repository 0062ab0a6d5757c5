package simulated

import (
	"context"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// DeleteVM implements hostapi.Driver. Whatever is left by a call that was cut
// off is found by the next one: the role goes last.
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
	for _, v := range p.vms {
		if err := d.turnOff(ctx, op, v); err != nil {
			return err
		}
		if err := d.host.DestroyVM(ctx, v.GUID); err != nil {
			return typed(op, "remove VM "+v.GUID, err)
		}
	}
	for _, f := range p.files {
		if err := d.host.DeleteFile(ctx, f.FileRef); err != nil && fabricapi.CodeOf(err) != fabricapi.NotFound {
			return typed(op, fmt.Sprintf("delete %s of VM %s", f.FullPath, p.id), err)
		}
	}
	return d.release(ctx, p)
}

// release gives up the role, once every volume that it names was read and holds
// nothing of the VM.
func (d *Driver) release(ctx context.Context, p *parts) error {
	const op = "DeleteVM"
	if p.role == nil {
		return nil
	}
	if len(p.role.Volumes) > 0 {
		left, err := d.host.ListFiles(ctx, fabricapi.ListFilesRequest{StampID: string(p.id), Volumes: p.role.Volumes})
		if err != nil {
			return typed(op, "look for what is left of VM "+string(p.id), err)
		}
		if len(left) > 0 {
			return hostapi.Errorf(hostapi.Transient, op, left[0].Volume, "%s of VM %s came into sight", left[0].FullPath, p.id)
		}
	}
	if err := d.host.ReleaseRole(ctx, p.role.Name); fabricapi.CodeOf(err) != fabricapi.NotFound {
		return typed(op, "release the role of VM "+string(p.id), err)
	}
	return nil
}
