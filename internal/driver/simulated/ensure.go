package simulated

import (
	"context"
	"fmt"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// ensuring is one EnsureVM: what is wanted, what is there, and the VM as each
// step leaves it.
type ensuring struct {
	*Driver
	req hostapi.EnsureVMRequest
	*parts
	now fabricapi.VM
}

// EnsureVM implements hostapi.Driver.
func (d *Driver) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	const op = "EnsureVM"
	if err := req.Validate(); err != nil {
		return hostapi.VM{}, err
	}
	p, err := d.parts(ctx, op, req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkOwned(op, req.Stamp); err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkNode(op); err != nil {
		return hostapi.VM{}, err
	}
	e := &ensuring{Driver: d, req: req, parts: p}
	// The claim comes before anything that could be doubled, the start after
	// everything that a guest could miss.
	for _, step := range []func(context.Context) error{
		e.claim, e.disks, e.powerOff, e.config, e.attachDisks, e.nics, e.seedDVD, e.powerOn,
	} {
		if err := step(ctx); err != nil {
			return hostapi.VM{}, err
		}
	}
	return d.get(ctx, op, req.Stamp.ID)
}

func (e *ensuring) typed(doing string, err error) error {
	return typed("EnsureVM", fmt.Sprintf("%s of VM %s", doing, e.id), err)
}

func (e *ensuring) conflict(resource, format string, args ...any) error {
	return hostapi.Errorf(hostapi.Conflict, "EnsureVM", resource, "VM %s: %s", e.id, fmt.Sprintf(format, args...))
}

// claim takes the name in the whole failover cluster, together with the volumes
// on which files will be, so that deletion knows where to look.
func (e *ensuring) claim(ctx context.Context) error {
	var volumes []string
	for _, d := range e.req.Disks {
		if !slices.Contains(volumes, d.Volume) {
			volumes = append(volumes, d.Volume)
		}
	}
	claimed := e.role != nil && !slices.ContainsFunc(volumes, func(v string) bool { return !slices.Contains(e.role.Volumes, v) })
	if claimed && e.vm() != nil {
		return nil
	}
	if err := e.checkVolumes(ctx, volumes); err != nil {
		return err
	}
	_, err := e.host.ClaimRole(ctx, fabricapi.ClaimRoleRequest{Name: string(e.id), Stamp: stampOf(e.req.Stamp), Volumes: volumes})
	return e.typed("claim the role", err)
}

// checkVolumes tells whether all volumes can be used. What a role names is looked
// through before the role goes, so it may name nothing that never was.
func (e *ensuring) checkVolumes(ctx context.Context, volumes []string) error {
	host, err := e.host.Host(ctx)
	if err != nil {
		return e.typed("look at the volumes", err)
	}
	for _, name := range volumes {
		i := slices.IndexFunc(host.Volumes, func(v fabricapi.Volume) bool { return v.Name == name })
		if i < 0 {
			return hostapi.Errorf(hostapi.VolumeFaulted, "EnsureVM", name, "VM %s: host %s has no volume %s", e.id, host.Name, name)
		}
		if fault := host.Volumes[i].Fault; !fault.Usable() {
			return hostapi.Errorf(hostapi.VolumeFaulted, "EnsureVM", name, "VM %s: volume %s cannot be used: %s", e.id, name, fault)
		}
	}
	return nil
}

func (e *ensuring) disks(ctx context.Context) error {
	for _, want := range e.req.Disks {
		have := e.disk(want.Name)
		var err error
		if have == nil {
			err = e.createDisk(ctx, want)
		} else {
			err = e.changeDisk(ctx, want, *have)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *ensuring) createDisk(ctx context.Context, want hostapi.Disk) error {
	ref := diskRef(e.id, want)
	for _, v := range e.vms {
		if slices.Contains(v.Disks, ref) {
			// Its file cannot be seen: a new one would be an empty disk in its place.
			return hostapi.Errorf(hostapi.VolumeFaulted, "EnsureVM", want.Volume, "VM %s: disk %s cannot be read", e.id, want.Name)
		}
	}
	req := fabricapi.CreateDiskRequest{FileRef: ref, Label: want.Name, Stamp: stampOf(e.req.Stamp), Bytes: want.Bytes}
	if want.Image != nil {
		req.Parent = imageRef(want.Volume, want.Image.SHA256).Path
	}
	_, err := e.host.CreateDisk(ctx, req)
	if fabricapi.CodeOf(err) == fabricapi.MissingParent {
		return e.conflict(want.Image.SHA256, "image %s is not staged on volume %s", want.Image.Name, want.Volume)
	}
	return e.typed("create disk "+want.Name, err)
}

// changeDisk makes a disk larger. Nothing else of a disk can be changed.
func (e *ensuring) changeDisk(ctx context.Context, want hostapi.Disk, have fabricapi.File) error {
	parent := ""
	if want.Image != nil {
		parent = imageRef(want.Volume, want.Image.SHA256).Path
	}
	switch {
	case have.Volume != want.Volume:
		return e.conflict(have.Volume, "disk %s is on volume %s and cannot move to %s", want.Name, have.Volume, want.Volume)
	case have.Parent != parent:
		return e.conflict("", "disk %s was made from another image", want.Name)
	case want.Bytes != 0 && want.Bytes < have.VirtualBytes:
		return e.conflict("", "disk %s has %d bytes and cannot shrink to %d", want.Name, have.VirtualBytes, want.Bytes)
	case want.Bytes <= have.VirtualBytes:
		return nil
	}
	_, err := e.host.ResizeDisk(ctx, fabricapi.ResizeDiskRequest{FileRef: have.FileRef, Bytes: want.Bytes})
	return e.typed("grow disk "+want.Name, err)
}

// config makes the VM or changes its settings.
func (e *ensuring) config(ctx context.Context) (err error) {
	have := e.vm()
	if have == nil {
		e.now, err = e.host.DefineVM(ctx, fabricapi.DefineVMRequest{
			Name: e.req.Name, Stamp: stampOf(e.req.Stamp), Notes: notesOf(e.req), ConfigVolume: e.req.Disks[0].Volume,
			Role: string(e.id), Processors: e.req.Processors, MemoryMiB: e.req.MemoryMiB, SecureBoot: secureBoot(e.req.OS),
		})
		return e.typed("define the configuration", err)
	}
	e.now = *have
	want := fabricapi.ModifyVMRequest{
		GUID: have.GUID, Notes: notesOf(e.req), Processors: e.req.Processors, MemoryMiB: e.req.MemoryMiB, SecureBoot: have.SecureBoot,
	}
	if have.State == fabricapi.Off {
		want.SecureBoot = secureBoot(e.req.OS)
	}
	if want == (fabricapi.ModifyVMRequest{
		GUID: have.GUID, Notes: have.Notes, Processors: have.Processors, MemoryMiB: have.MemoryMiB, SecureBoot: have.SecureBoot,
	}) {
		return nil
	}
	e.now, err = e.host.ModifyVM(ctx, want)
	return e.typed("change the settings", err)
}

// secureBoot is the template that the boot loaders of an OS are signed for.
func secureBoot(os hostapi.OS) fabricapi.SecureBootTemplate {
	if os == hostapi.Windows {
		return fabricapi.SecureBootWindows
	}
	return fabricapi.SecureBootUEFI
}

func (e *ensuring) attachDisks(ctx context.Context) (err error) {
	for _, d := range e.req.Disks {
		ref := diskRef(e.id, d)
		if slices.Contains(e.now.Disks, ref) {
			continue
		}
		if e.now, err = e.host.AttachDisk(ctx, e.now.GUID, ref); err != nil {
			return e.typed("attach disk "+d.Name, err)
		}
	}
	return nil
}

func (e *ensuring) nics(ctx context.Context) (err error) {
	for _, want := range e.req.NICs {
		i := slices.IndexFunc(e.now.NICs, func(n fabricapi.NIC) bool { return n.MAC == want.MAC })
		if i >= 0 {
			if have := e.now.NICs[i]; have.Switch != want.Switch || have.VLAN != want.VLAN {
				return e.conflict(want.Switch, "NIC %s is on switch %s with VLAN %d, not on %s with %d",
					want.MAC, have.Switch, have.VLAN, want.Switch, want.VLAN)
			}
			continue
		}
		e.now, err = e.host.AddNIC(ctx, e.now.GUID, fabricapi.NIC{Switch: want.Switch, VLAN: want.VLAN, MAC: want.MAC})
		if err != nil {
			return e.typed("add a NIC on switch "+want.Switch, err)
		}
	}
	return nil
}
