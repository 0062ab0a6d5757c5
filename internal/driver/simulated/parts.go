package simulated

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// parts is everything that bears the ID of one VM. The role is claimed before
// anything is made and released after everything is gone: where it is not, there
// is nothing, also on volumes that cannot be read.
type parts struct {
	id    hostapi.VMID
	role  *fabricapi.Role
	vms   []fabricapi.VM
	files []fabricapi.File
}

func (d *Driver) parts(ctx context.Context, op string, id hostapi.VMID) (*parts, error) {
	p := &parts{id: id}
	roles, err := d.host.ListRoles(ctx, string(id))
	if err != nil {
		return nil, typed(op, "find the role of VM "+string(id), err)
	}
	if len(roles) > 0 && roles[0].Stamp != nil {
		p.role = &roles[0]
	}
	if p.vms, err = d.host.ListVMs(ctx, string(id)); err != nil {
		return nil, typed(op, "find VM "+string(id), err)
	}
	if p.files, err = d.host.ListFiles(ctx, fabricapi.ListFilesRequest{StampID: string(id)}); err != nil {
		return nil, typed(op, "find the files of VM "+string(id), err)
	}
	return p, nil
}

// allParts returns the parts of every VM that bears a stamp.
func (d *Driver) allParts(ctx context.Context, op string) (map[fabricapi.Stamp]*parts, error) {
	roles, err := d.host.ListRoles(ctx, "")
	if err != nil {
		return nil, typed(op, "list the roles", err)
	}
	vms, err := d.host.ListVMs(ctx, "")
	if err != nil {
		return nil, typed(op, "list the VMs", err)
	}
	files, err := d.host.ListFiles(ctx, fabricapi.ListFilesRequest{Folder: vmFolder})
	if err != nil {
		return nil, typed(op, "list the disks", err)
	}
	all := map[fabricapi.Stamp]*parts{}
	of := func(stamp *fabricapi.Stamp) *parts {
		if all[*stamp] == nil {
			all[*stamp] = &parts{id: hostapi.VMID(stamp.ID)}
		}
		return all[*stamp]
	}
	for _, r := range roles {
		if r.Stamp != nil {
			of(r.Stamp).role = &r
		}
	}
	for _, v := range vms {
		if v.Stamp != nil {
			of(v.Stamp).vms = append(of(v.Stamp).vms, v)
		}
	}
	for _, f := range files {
		if f.Stamp != nil {
			of(f.Stamp).files = append(of(f.Stamp).files, f)
		}
	}
	return all, nil
}

func (p *parts) none() bool { return p.role == nil && len(p.vms) == 0 && len(p.files) == 0 }

// vm returns the VM, or nil if only other parts of it exist.
func (p *parts) vm() *fabricapi.VM {
	if len(p.vms) == 0 {
		return nil
	}
	return &p.vms[0]
}

// checkOwned tells whether every part is the caller's, and there is one VM.
func (p *parts) checkOwned(op string, stamp hostapi.Stamp) error {
	foreign := func(s *fabricapi.Stamp) bool { return s == nil || s.Installation != stamp.Installation }
	switch {
	case p.role != nil && foreign(p.role.Stamp):
		return hostapi.Errorf(hostapi.NotOwned, op, "", "the role of VM %s is somebody else's", p.id)
	case slices.ContainsFunc(p.vms, func(v fabricapi.VM) bool { return foreign(v.Stamp) }):
		return hostapi.Errorf(hostapi.NotOwned, op, "", "VM %s is another installation's", p.id)
	case slices.ContainsFunc(p.files, func(f fabricapi.File) bool { return foreign(f.Stamp) }):
		return hostapi.Errorf(hostapi.NotOwned, op, "", "a file of VM %s is another installation's", p.id)
	case len(p.vms) > 1:
		return hostapi.Errorf(hostapi.Conflict, op, "", "%d VMs bear the ID %s", len(p.vms), p.id)
	}
	return nil
}

// checkNode tells whether the VM's state can be known.
func (p *parts) checkNode(op string) error {
	if v := p.vm(); v != nil && v.State == fabricapi.Lost {
		return hostapi.Errorf(hostapi.HostUnreachable, op, v.Host,
			"host %s, which owned VM %s, is down, and its failover cluster has not restarted the VM yet", v.Host, p.id)
	}
	return nil
}

// seed returns the VM's seed file, or nil.
func (p *parts) seed() *fabricapi.File {
	return p.file(func(f fabricapi.File) bool { return f.Kind == fabricapi.ISO })
}

func (p *parts) disk(name string) *fabricapi.File {
	return p.file(func(f fabricapi.File) bool { return f.Kind == fabricapi.VHDX && f.Label == name })
}

func (p *parts) file(is func(fabricapi.File) bool) *fabricapi.File {
	if i := slices.IndexFunc(p.files, is); i >= 0 {
		return &p.files[i]
	}
	return nil
}

// describe is what is there, in the words of hostapi.
func (p *parts) describe() hostapi.VM {
	out := hostapi.VM{Stamp: p.stamp(), State: hostapi.StatePartial, SeedAttached: p.seed() != nil, Heartbeat: hostapi.HeartbeatUnknown}
	if p.role != nil {
		out.Host = p.role.Node
	}
	for _, f := range p.files {
		if f.Kind == fabricapi.VHDX {
			out.Disks = append(out.Disks, hostapi.DiskStatus{
				Name: f.Label, Volume: f.Volume, Path: f.FullPath, Bytes: f.VirtualBytes, FileBytes: f.FileBytes,
			})
		}
	}
	v := p.vm()
	if v == nil {
		return out
	}
	out.Name, out.Host, out.Owner = v.Name, v.Host, readNotes(v.Notes).Owner
	out.Processors, out.MemoryMiB, out.Console = v.Processors, v.MemoryMiB, v.Console
	out.SeedAttached = out.SeedAttached || (v.ISO != nil && *v.ISO == seedRef(p.id, v.ISO.Volume))
	out.State, out.Heartbeat = stateOf(*v), heartbeatOf(*v)
	for _, nic := range v.NICs {
		out.NICs = append(out.NICs, hostapi.NICStatus{MAC: nic.MAC, Addresses: nic.Addresses})
	}
	out.Disks = p.order(out.Disks, *v)
	return out
}

// order puts disks as they are attached, and adds those whose volume cannot be
// read now.
func (p *parts) order(disks []hostapi.DiskStatus, v fabricapi.VM) []hostapi.DiskStatus {
	place := func(s hostapi.DiskStatus) int {
		i := slices.IndexFunc(v.Disks, func(ref fabricapi.FileRef) bool {
			return ref == diskRef(p.id, hostapi.Disk{Name: s.Name, Volume: s.Volume})
		})
		if i < 0 {
			return len(v.Disks)
		}
		return i
	}
	for _, ref := range v.Disks {
		name, ours := strings.CutPrefix(ref.Path, vmFolder+string(p.id)+`\`)
		name = strings.TrimSuffix(name, ".vhdx")
		if ours && !slices.ContainsFunc(disks, func(s hostapi.DiskStatus) bool { return s.Name == name && s.Volume == ref.Volume }) {
			disks = append(disks, hostapi.DiskStatus{Name: name, Volume: ref.Volume, Path: ref.Path})
		}
	}
	slices.SortStableFunc(disks, func(a, b hostapi.DiskStatus) int { return cmp.Compare(place(a), place(b)) })
	return disks
}

func (p *parts) stamp() hostapi.Stamp {
	var s *fabricapi.Stamp
	switch {
	case len(p.vms) > 0:
		s = p.vms[0].Stamp
	case len(p.files) > 0:
		s = p.files[0].Stamp
	case p.role != nil:
		s = p.role.Stamp
	}
	if s == nil {
		return hostapi.Stamp{ID: p.id}
	}
	return hostapi.Stamp{Installation: s.Installation, ID: hostapi.VMID(s.ID)}
}

func stateOf(v fabricapi.VM) hostapi.State {
	switch v.State {
	case fabricapi.Running:
		// Hyper-V says so as soon as there is power; the heartbeat tells of the guest.
		return hostapi.StateRunning
	case fabricapi.Stopping:
		return hostapi.StateStopping
	case fabricapi.Critical, fabricapi.Lost:
		return hostapi.StateFailed
	case fabricapi.Off:
	}
	if !whole(v) {
		return hostapi.StatePartial
	}
	return hostapi.StateOff
}

func heartbeatOf(v fabricapi.VM) hostapi.Heartbeat {
	switch {
	case v.State == fabricapi.Lost, v.Heartbeat == fabricapi.HeartbeatLost:
		return hostapi.HeartbeatLost
	case v.Heartbeat == fabricapi.HeartbeatOK:
		return hostapi.HeartbeatOK
	}
	return hostapi.HeartbeatUnknown
}
