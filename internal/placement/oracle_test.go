package placement_test

import (
	"cmp"
	"slices"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// oracle answers by trying everything, straight from the snapshot. It shares no
// code with the planner.
type oracle struct {
	snap placement.Snapshot
	req  placement.Request
}

func (o oracle) reaches(h placement.Host, v placement.Volume) bool {
	if h.FailoverCluster != "" {
		return v.FailoverCluster == h.FailoverCluster
	}
	return v.FailoverCluster == "" && v.Host == h.Name
}

func (o oracle) others() []placement.Placement {
	return slices.DeleteFunc(slices.Clone(o.snap.Placements), func(p placement.Placement) bool { return p.VM == o.req.VM })
}

// onVolume tells whether a placement's disk lies on a volume.
func (o oracle) onVolume(p placement.Placement, d placement.PlacedDisk, v placement.Volume) bool {
	for _, h := range o.snap.Hosts {
		if h.Name == p.Host {
			return d.Volume == v.Name && o.reaches(h, v)
		}
	}
	return false
}

func (o oracle) hostTakes(h placement.Host) bool {
	if o.req.FailureDomain != "" && h.FailureDomain != o.req.FailureDomain {
		return false
	}
	for _, s := range o.req.Switches {
		if !slices.Contains(h.Switches, s) {
			return false
		}
	}
	for _, r := range o.req.HostLabels {
		value, there := h.Labels[r.Key]
		if listed := there && slices.Contains(r.Values, value); map[placement.Operator]bool{
			placement.In: listed, placement.NotIn: !listed, placement.Exists: there, placement.DoesNotExist: !there,
		}[r.Operator] == false {
			return false
		}
	}
	if o.req.Apart && slices.ContainsFunc(o.members(), func(p placement.Placement) bool { return p.Host == h.Name }) {
		return false
	}
	if h.Unschedulable == placement.Schedulable && !o.survivesAHost(h) {
		return false
	}
	left, processors := o.left(h)
	return o.req.Processors <= h.Processors && int64(o.req.Processors) <= processors && o.req.MemoryMiB <= left
}

// members are the others of the VM's group.
func (o oracle) members() []placement.Placement {
	return slices.DeleteFunc(o.others(), func(p placement.Placement) bool { return o.req.Group == "" || p.Group != o.req.Group })
}

// survivesAHost tells whether the host's failover cluster can take the VM and still
// lose any one host, or start what was on those that are away.
func (o oracle) survivesAHost(h placement.Host) bool {
	var free, away int64
	var biggest int64
	members, present := 0, 0
	for _, m := range o.snap.Hosts {
		if m.FailoverCluster == "" || m.FailoverCluster != h.FailoverCluster {
			continue
		}
		members++
		left, _ := o.left(m)
		has := max(m.MemoryMiB-m.ReservedMiB, 0)
		switch m.Unschedulable {
		case placement.Schedulable:
			present++
			free += max(left, 0)
			biggest = max(biggest, has)
		case placement.HostLost, placement.HostDrains:
		default:
			away += max(has-max(left, 0), 0)
		}
	}
	switch {
	case members < 2 || o.snap.Policy.NoSpareHost:
		return true
	case present < members:
		return free-o.req.MemoryMiB >= away
	default:
		return free-o.req.MemoryMiB >= biggest
	}
}

func (o oracle) left(h placement.Host) (memory, processors int64) {
	left := h.MemoryMiB - h.ReservedMiB
	reported := h.FreeMiB - h.ReservedMiB
	processors = int64(float64(h.Processors) * cmp.Or(o.snap.Policy.ProcessorOvercommit, placement.DefaultProcessorOvercommit))
	for _, p := range o.others() {
		if p.Host == h.Name {
			left -= p.MemoryMiB
			processors -= int64(p.Processors)
			if p.InFlight {
				reported -= p.MemoryMiB
			}
		}
	}
	if h.FreeMiB > 0 {
		left = min(left, reported)
	}
	return left, processors
}

// volumeTakes tells whether disks fit on one volume together.
func (o oracle) volumeTakes(v placement.Volume, disks ...placement.Disk) bool {
	if v.Fault != placement.VolumeHealthy && v.Fault != placement.VolumeRedirected {
		return false
	}
	if len(o.req.Volumes) > 0 && !slices.Contains(o.req.Volumes, v.Name) || slices.Contains(o.req.ExcludedVolumes, v.Name) {
		return false
	}
	if o.req.Apart && slices.ContainsFunc(o.members(), func(p placement.Placement) bool {
		return slices.ContainsFunc(p.Disks, func(d placement.PlacedDisk) bool { return o.onVolume(p, d, v) })
	}) {
		return false
	}
	used, free := v.ProvisionedBytes+o.inFlight(v), v.FreeBytes
	for _, d := range disks {
		used += d.Bytes
		if d.Image == nil || slices.Contains(v.Images, d.Image.SHA256) {
			continue
		}
		if !d.Image.Stageable {
			return false
		}
		used += d.Image.Bytes
		free -= d.Image.Bytes
	}
	return float64(used) <= o.limit(v) && float64(free) >= o.reserve(v)
}

// limit is how many bytes of virtual disks a volume takes.
func (o oracle) limit(v placement.Volume) float64 {
	return float64(v.Bytes) * cmp.Or(o.snap.Policy.StorageOvercommit, placement.DefaultStorageOvercommit)
}

// reserve is what must be free of a volume whatever is provisioned.
func (o oracle) reserve(v placement.Volume) float64 {
	return float64(v.Bytes) * cmp.Or(o.snap.Policy.FreeReserve, placement.DefaultFreeReserve)
}

// inFlight are the bytes of disks that were decided and that nobody reports yet.
func (o oracle) inFlight(v placement.Volume) (bytes int64) {
	for _, p := range o.others() {
		for _, d := range p.Disks {
			if p.InFlight && o.onVolume(p, d, v) {
				bytes += d.Bytes
			}
		}
	}
	return bytes
}

// layouts are all ways to put the disks on volumes that the host reaches.
func (o oracle) layouts(h placement.Host) [][]placement.Volume {
	var volumes []placement.Volume
	for _, v := range o.snap.Volumes {
		if o.reaches(h, v) {
			volumes = append(volumes, v)
		}
	}
	all := [][]placement.Volume{nil}
	for range o.req.Disks {
		var longer [][]placement.Volume
		for _, l := range all {
			for _, v := range volumes {
				if o.req.Role != placement.Worker && len(l) > 0 && l[0].Name != v.Name {
					continue
				}
				longer = append(longer, append(slices.Clone(l), v))
			}
		}
		all = longer
	}
	return slices.DeleteFunc(all, func(l []placement.Volume) bool { return !o.layoutFits(l) })
}

func (o oracle) layoutFits(layout []placement.Volume) bool {
	on := map[string][]placement.Disk{}
	for i, v := range layout {
		on[v.Name] = append(on[v.Name], o.req.Disks[i])
	}
	for _, v := range layout {
		if !o.volumeTakes(v, on[v.Name]...) {
			return false
		}
	}
	return true
}

// rank is what a place of the boot disk is worth by the rules that come before
// balance, the most important first: redirected volume, failure domain, host,
// volume.
type rank [4]int

func (o oracle) rank(h placement.Host, boot placement.Volume) rank {
	r := rank{}
	if boot.Fault == placement.VolumeRedirected {
		r[0] = 1
	}
	if o.req.Group == "" {
		return r
	}
	for _, p := range o.others() {
		if p.Group != o.req.Group {
			continue
		}
		for _, at := range o.snap.Hosts {
			if at.Name == p.Host && at.FailureDomain == h.FailureDomain {
				r[1]++
			}
		}
		if p.Host == h.Name {
			r[2]++
		}
		if slices.ContainsFunc(p.Disks, func(d placement.PlacedDisk) bool { return o.onVolume(p, d, boot) }) {
			r[3]++
		}
	}
	if o.req.Role == placement.Worker {
		r[1], r[3] = 0, 0 // they come after balance
	}
	return r
}
