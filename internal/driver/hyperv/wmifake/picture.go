package wmifake

import (
	"slices"
	"strings"
)

// Picture is all there is, whether a host can see it or not. Auditors read it.
type Picture struct {
	Nodes   []PicturedNode
	Volumes []PicturedVolume
	VMs     []PicturedVM
	Files   []PicturedFile
	// Roles are the groups of the failover cluster that somebody made.
	Roles []PicturedRole
}

// PicturedNode is a host.
type PicturedNode struct {
	Name, BootID string
	Up, Isolated bool
	FreeMiB      int64
}

// PicturedVolume is a volume.
type PicturedVolume struct {
	Root        string
	Bytes, Free int64
	Faulty      bool
}

// PicturedVM is a VM.
type PicturedVM struct {
	GUID, Name, Notes, Node string
	// State is that of Msvm_ComputerSystem.EnabledState.
	State                 int64
	Processors, MemoryMiB int64
	SecureBootTemplate    string
	// Files are the disks and discs that it has, MACs its NICs in the form of Hyper-V.
	Files, MACs []string
	// Up tells whether its guest answers.
	Up bool
}

// PicturedFile is a file or a folder.
type PicturedFile struct {
	// Path is absolute, Volume the root of the volume that it is on, "" on a drive of a host's own.
	Path, Volume     string
	Folder, ReadOnly bool
	Bytes            int64
	// Parent and VirtualBytes are those of a virtual disk that Hyper-V made.
	Parent       string
	VirtualBytes int64
	// Content is what was written to a file.
	Content []byte
}

// PicturedRole is a group of the failover cluster.
type PicturedRole struct{ Name, Node string }

// States of a PicturedVM.
const (
	StateEnabled      = enabled
	StateDisabled     = disabled
	StateShuttingDown = shuttingDown
	StateSaved        = saved
)

// Picture is what the world is now, in order.
func (w *World) Picture() Picture {
	w.mu.Lock()
	defer w.unlock()
	var p Picture
	for _, h := range w.hosts {
		p.Nodes = append(p.Nodes, PicturedNode{
			Name: h.name, BootID: h.of("Win32_Process")[0].text("CreationDate"), Up: !h.down, Isolated: h.isolated, FreeMiB: h.free(w),
		})
		for _, v := range h.vms {
			v.pass(w)
			p.VMs = append(p.VMs, h.picture(v))
		}
	}
	for _, v := range w.disk.volumes {
		p.Volumes = append(p.Volumes, PicturedVolume{v.root, v.bytes, v.free(w.disk), v.faulty})
	}
	for _, f := range w.disk.files {
		p.Files = append(p.Files, w.disk.picture(f))
	}
	slices.SortFunc(p.Files, func(a, b PicturedFile) int { return strings.Compare(a.Path, b.Path) })
	if w.cluster != nil {
		for _, o := range w.cluster.of("MSCluster_ResourceGroup") {
			if o.get("IsCore") == nil {
				p.Roles = append(p.Roles, PicturedRole{o.text("Name"), o.text("OwnerNode")})
			}
		}
	}
	return p
}

func (h *host) picture(v *vm) PicturedVM {
	out := PicturedVM{
		GUID: v.guid(), Name: v.system.text("ElementName"), Notes: strings.Join(v.settings.list("Notes"), "\n"), Node: h.name,
		State: v.system.number("EnabledState"), Processors: v.processor.number("VirtualQuantity"), MemoryMiB: v.memoryMiB(),
		SecureBootTemplate: v.settings.text("SecureBootTemplateId"), Files: v.disks(), Up: v.up && !v.deaf,
	}
	for _, d := range v.devices {
		if d.text("ResourceSubType") == "Microsoft:Hyper-V:Synthetic Ethernet Port" {
			out.MACs = append(out.MACs, d.text("Address"))
		}
	}
	return out
}

func (d *disk) picture(f *file) PicturedFile {
	out := PicturedFile{Path: f.path, Folder: f.folder, ReadOnly: f.readOnly, Bytes: f.bytes(), Content: slices.Clone(f.content)}
	if v := d.volume(f.path); v != nil {
		out.Volume = v.root
	}
	if f.vhd != nil {
		out.Parent, out.VirtualBytes = f.vhd.parent, f.vhd.bytes
	}
	return out
}
