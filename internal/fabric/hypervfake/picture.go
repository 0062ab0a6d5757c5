package hypervfake

import (
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// World is all there is, in the words of the fabric. Stamps are the driver's own affair,
// and are left in the notes. Complaints are what the fake had against a driver.
func (w *World) World(context.Context, fabricapi.None) (fabricapi.World, error) {
	p := w.hyperv.Picture()
	cluster := w.Topology.FailoverClusters[0]
	site := fabricapi.Site{Name: cluster.Name, Cluster: true}
	for i, v := range p.Volumes {
		volume := fabricapi.Volume{Name: cluster.Volumes[i].Name, Bytes: v.Bytes, FreeBytes: v.Free}
		if v.Faulty {
			volume.Fault = fabricapi.NoAccess
		}
		site.Volumes = append(site.Volumes, volume)
	}
	for _, f := range p.Files {
		site.Files = append(site.Files, w.file(f))
	}
	for _, v := range p.VMs {
		site.VMs = append(site.VMs, vm(v))
	}
	for _, r := range p.Roles {
		site.Roles = append(site.Roles, fabricapi.Role{Name: r.Name, Node: r.Node})
	}
	out := fabricapi.World{Sites: []fabricapi.Site{site}, Images: w.Topology.Images}
	for i, n := range p.Nodes {
		spec := w.Topology.Hosts[i]
		out.Hosts = append(out.Hosts, fabricapi.AdminHost{
			Host: fabricapi.Host{
				Name: n.Name, BootID: n.BootID, Processors: spec.Processors, MemoryMiB: spec.MemoryMiB, MemoryFreeMiB: n.FreeMiB,
				FailoverCluster: cluster.Name, Switches: spec.Switches, Volumes: site.Volumes,
			},
			Site: site.Name, Up: n.Up, Isolated: n.Isolated,
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Complaints = slices.Clone(w.complaints)
	return out, nil
}

// file is a file, by its path on its volume.
func (w *World) file(f wmifake.PicturedFile) fabricapi.File {
	out := fabricapi.File{
		FileRef: ref(f.Path), Kind: fabricapi.OtherFile, FullPath: f.Path, FileBytes: f.Bytes, VirtualBytes: f.VirtualBytes, ReadOnly: f.ReadOnly,
	}
	switch name := strings.ToLower(f.Path); {
	case f.Folder:
		out.Kind = fabricapi.Folder
	case strings.HasSuffix(name, ".vhdx"):
		out.Kind = fabricapi.VHDX
	case strings.HasSuffix(name, ".iso"):
		out.Kind = fabricapi.ISO
	}
	if f.Parent != "" {
		out.Parent = ref(f.Parent).Path
	}
	if image, ok := w.library.image(f.Content); ok {
		out.VirtualBytes = image.VirtualBytes
		out.Image = &fabricapi.ImageInfo{
			Of: image.SHA256, TotalBytes: f.Bytes, VirtualBytes: image.VirtualBytes, OS: image.OS,
			KubernetesVersion: image.KubernetesVersion, Fault: image.Fault,
		}
	}
	return out
}

// ref is where a file is. What is on no volume is on a drive of a host's own.
func ref(path string) fabricapi.FileRef {
	rest, shared := strings.CutPrefix(path, volumeRoot)
	if !shared {
		return fabricapi.FileRef{Path: path}
	}
	volume, inside, _ := strings.Cut(rest, `\`)
	return fabricapi.FileRef{Volume: volume, Path: inside}
}

func vm(v wmifake.PicturedVM) fabricapi.VM {
	out := fabricapi.VM{
		GUID: v.GUID, Name: v.Name, Notes: v.Notes, Host: v.Node, State: fabricapi.Running,
		Processors: int32(v.Processors), MemoryMiB: v.MemoryMiB, SecureBoot: fabricapi.SecureBootTemplate(v.SecureBootTemplate),
	}
	switch v.State {
	case wmifake.StateDisabled, wmifake.StateSaved:
		out.State = fabricapi.Off
	case wmifake.StateShuttingDown:
		out.State = fabricapi.Stopping
	}
	if v.Up {
		out.Heartbeat = fabricapi.HeartbeatOK
	}
	for _, path := range v.Files {
		at := ref(path)
		if strings.HasSuffix(strings.ToLower(path), ".iso") {
			out.ISO = &at
			continue
		}
		out.Disks = append(out.Disks, at)
	}
	for _, mac := range v.MACs {
		out.NICs = append(out.NICs, fabricapi.NIC{MAC: colons(mac)})
	}
	return out
}
