package hyperv

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// volume is a cluster shared volume or, of a host that stands alone, a folder.
type volume struct {
	name, root string
	fault      hostapi.VolumeFault
	// path is the volume's in WMI.
	path string
}

// Bits of MSCluster_ClusterSharedVolume.FaultState. 1 is redirected access.
const (
	faultNoAccess    = 2
	faultMaintenance = 4
	faultDismounted  = 8
)

// faultOf returns the worst of what is wrong with a volume.
func faultOf(state int64) hostapi.VolumeFault {
	switch {
	case state&faultDismounted != 0:
		return hostapi.VolumeDismounted
	case state&faultNoAccess != 0:
		return hostapi.VolumeNoAccess
	case state&faultMaintenance != 0:
		return hostapi.VolumeMaintenance
	case state != 0:
		// No direct access, or something that a later Windows says: the last to be used.
		return hostapi.VolumeRedirected
	default:
		return hostapi.VolumeHealthy
	}
}

// usable tells whether files on the volume can be had. Redirected is slow, and no reason to fail.
func (v volume) usable() bool {
	return v.fault == hostapi.VolumeHealthy || v.fault == hostapi.VolumeRedirected
}

// volumes returns all volumes, as they are now.
func (d *Driver) volumes(ctx context.Context, op string) ([]volume, error) {
	own, err := d.node(ctx, d.Host)
	if err != nil {
		return nil, typed(op, "", "look at the volumes", err)
	}
	if !d.cluster {
		// The files alone would not tell that the host does not answer.
		if _, err := own.only(ctx, wmi.CIMv2, "Win32_OperatingSystem"); err != nil {
			return nil, typed(op, "", "look at the volumes", err)
		}
		var out []volume
		for _, name := range slices.Sorted(maps.Keys(d.Volumes)) {
			v := volume{name: name, root: d.Volumes[name]}
			if _, err := d.Files.Stat(v.root); err != nil {
				v.fault = hostapi.VolumeNoAccess
			}
			out = append(out, v)
		}
		return out, nil
	}
	found, err := own.Query(ctx, wmi.Query{
		Namespace: wmi.Cluster, Class: "MSCluster_ClusterSharedVolume", Properties: []string{"Name", "FaultState"},
	})
	if err != nil {
		return nil, typed(op, "", "look at the cluster shared volumes", err)
	}
	var out []volume
	for _, o := range found {
		root := o.String("Name")
		out = append(out, volume{name: base(root), root: root, fault: faultOf(o.Number("FaultState")), path: o.Path})
	}
	slices.SortFunc(out, func(a, b volume) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// usableVolume returns a volume of a name that files can be made on, or a VolumeFaulted error.
func (d *Driver) usableVolume(op string, all []volume, name string) (volume, error) {
	i := slices.IndexFunc(all, func(v volume) bool { return v.name == name })
	if i < 0 {
		return volume{}, hostapi.Errorf(hostapi.VolumeFaulted, op, name, "host %s has no volume %s", d.Host, name)
	}
	if !all[i].usable() {
		return volume{}, hostapi.Errorf(hostapi.VolumeFaulted, op, name, "volume %s cannot be used: %s", name, all[i].fault)
	}
	return all[i], nil
}

// capacity returns how large a volume is, and how much of it is free.
func (d *Driver) capacity(ctx context.Context, own *node, v volume) (bytes, free int64, err error) {
	if v.path == "" {
		// The longest name of a volume that the folder lies on is its volume's.
		all, err := own.Query(ctx, wmi.Query{Namespace: wmi.CIMv2, Class: "Win32_Volume", Properties: []string{"Name", "Capacity", "FreeSpace"}})
		if err != nil {
			return 0, 0, err
		}
		longest := 0
		for _, o := range all {
			name := o.String("Name")
			if (volume{root: name}).contains(v.root+`\`) && len(name) > longest {
				longest, bytes, free = len(name), o.Number("Capacity"), o.Number("FreeSpace")
			}
		}
		return bytes, free, nil
	}
	partitions, err := own.Related(ctx, v.path, wmi.Association{
		Through: "MSCluster_ClusterSharedVolumeToPartition", Class: "MSCluster_DiskPartition", Properties: []string{"TotalSize", "FreeSpace"},
	})
	for _, p := range partitions {
		// The cluster counts in MiB.
		bytes += p.Number("TotalSize") << 20
		free += p.Number("FreeSpace") << 20
	}
	return bytes, free, err
}
