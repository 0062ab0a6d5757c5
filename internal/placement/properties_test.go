package placement_test

import (
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// init raises the number of checks from 100: a check takes well under a
// millisecond, and many a world has no place at all. The command line still wins.
func init() {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
}

// drawSnapshot draws small worlds, in which things get tight often.
func drawSnapshot(t *rapid.T) placement.Snapshot {
	var snap placement.Snapshot
	snap.Policy = placement.Policy{
		NoSpareHost:         rapid.Bool().Draw(t, "no spare host"),
		StorageOvercommit:   rapid.SampledFrom([]float64{0, 0, 0.5, 1.5, 2}).Draw(t, "storage overcommit"),
		FreeReserve:         rapid.SampledFrom([]float64{0, 0, 0.25}).Draw(t, "free reserve"),
		ProcessorOvercommit: rapid.SampledFrom([]float64{0, 0, 1, 2}).Draw(t, "processor overcommit"),
	}
	cluster := rapid.SampledFrom([]string{"", "fc1", "fc1", "fc1", "fc2"})
	for i := range rapid.SampledFrom([]int{0, 1, 2, 3, 3, 4, 4, 5, 5}).Draw(t, "hosts") {
		snap.Hosts = append(snap.Hosts, placement.Host{
			Name:            name("hv", i),
			FailoverCluster: cluster.Draw(t, "cluster"),
			FailureDomain:   rapid.SampledFrom([]string{"", "rack1", "rack2"}).Draw(t, "domain"),
			Unschedulable: rapid.SampledFrom([]placement.Unschedulable{
				"", "", "", "", "", "", "", placement.HostSilent, placement.HostMaintenance, placement.HostDrains, placement.HostLost,
			}).Draw(t, "state"),
			Processors:  rapid.Int32Range(2, 6).Draw(t, "processors"),
			MemoryMiB:   rapid.Int64Range(4, 24).Draw(t, "memory"),
			ReservedMiB: rapid.Int64Range(0, 2).Draw(t, "reserved"),
			FreeMiB:     rapid.SampledFrom([]int64{0, 0, 3, 9, 15}).Draw(t, "free"),
			Labels:      rapid.SampledFrom([]map[string]string{nil, {"site": "a"}, {"site": "b", "ssd": ""}}).Draw(t, "labels"),
			Switches:    rapid.SampledFrom([][]string{{"lan"}, {"lan", "dmz"}, {"lan", "dmz"}, {"lan", "dmz"}, {"dmz"}}).Draw(t, "switches"),
		})
	}
	for i := range rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 6, 6, 6}).Draw(t, "volumes") {
		v := placement.Volume{
			Name:            name("csv", i%5),
			FailoverCluster: cluster.Draw(t, "cluster"),
			Fault: rapid.SampledFrom([]placement.VolumeFault{
				"", "", "", "", "", placement.VolumeRedirected, placement.VolumeRedirected,
				placement.VolumeMaintenance, placement.VolumeNoAccess, placement.VolumeDismounted, "new kind",
			}).Draw(t, "fault"),
			Bytes:            20 * rapid.SampledFrom([]int64{0, 1, 1, 2, 3}).Draw(t, "bytes"),
			ProvisionedBytes: rapid.Int64Range(0, 6).Draw(t, "provisioned"),
			Images:           rapid.SampledFrom([][]string{nil, {"node"}, {"old", "node"}}).Draw(t, "images"),
		}
		v.FreeBytes = max(v.Bytes-rapid.SampledFrom([]int64{0, 0, 0, 18, 40}).Draw(t, "files"), 0)
		if v.FailoverCluster == "" {
			v.Host = name("hv", rapid.IntRange(0, 4).Draw(t, "volume host"))
		}
		twice := func(o placement.Volume) bool {
			return o.Name == v.Name && o.FailoverCluster == v.FailoverCluster && o.Host == v.Host
		}
		if !slices.ContainsFunc(snap.Volumes, twice) {
			snap.Volumes = append(snap.Volumes, v)
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "placements") {
		p := placement.Placement{
			VM:         fmt.Sprintf("vm%d", i),
			Group:      rapid.SampledFrom([]string{"", "shop", "shop", "shop", "other"}).Draw(t, "group"),
			Host:       name("hv", rapid.IntRange(0, max(len(snap.Hosts), 1)).Draw(t, "host")),
			Processors: rapid.Int32Range(1, 8).Draw(t, "vm processors"),
			MemoryMiB:  rapid.Int64Range(0, 3).Draw(t, "vm memory"),
			InFlight:   rapid.Bool().Draw(t, "in flight"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "vm disks") {
			p.Disks = append(p.Disks, placement.PlacedDisk{
				Volume: name("csv", rapid.IntRange(0, 4).Draw(t, "disk volume")), Bytes: rapid.Int64Range(1, 5).Draw(t, "disk bytes"),
			})
		}
		snap.Placements = append(snap.Placements, p)
	}
	return snap
}

func drawRequest(t *rapid.T) placement.Request {
	req := placement.Request{
		VM:            rapid.SampledFrom([]string{"new", "new", "vm0", "vm1"}).Draw(t, "vm"),
		Group:         rapid.SampledFrom([]string{"", "shop", "shop", "shop"}).Draw(t, "req group"),
		Role:          rapid.SampledFrom([]placement.Role{placement.ControlPlane, placement.LoadBalancer, placement.Worker}).Draw(t, "role"),
		Processors:    rapid.Int32Range(1, 3).Draw(t, "req processors"),
		MemoryMiB:     rapid.Int64Range(1, 6).Draw(t, "req memory"),
		Switches:      rapid.SampledFrom([][]string{nil, nil, {"lan"}, {"lan", "dmz"}}).Draw(t, "req switches"),
		FailureDomain: rapid.SampledFrom([]string{"", "", "", "", "", "", "", "rack1", "rack1", "rack9"}).Draw(t, "req domain"),
		Apart:         rapid.SampledFrom([]bool{false, false, true}).Draw(t, "apart"),
		SpreadWeight:  rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "spread weight"),
	}
	if rapid.IntRange(0, 3).Draw(t, "selects hosts") == 0 {
		req.HostLabels = []placement.Requirement{{
			Key:      rapid.SampledFrom([]string{"site", "ssd"}).Draw(t, "label"),
			Operator: rapid.SampledFrom([]placement.Operator{placement.In, placement.NotIn, placement.Exists, placement.DoesNotExist}).Draw(t, "operator"),
			Values:   rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {""}}).Draw(t, "values"),
		}}
	}
	if rapid.IntRange(0, 3).Draw(t, "selects volumes") == 0 {
		req.Volumes = rapid.SampledFrom([][]string{nil, {"csv1"}, {"csv1", "csv2"}, {"csv9"}}).Draw(t, "volumes asked for")
		req.ExcludedVolumes = rapid.SampledFrom([][]string{nil, {"csv1"}, {"csv2", "csv3"}}).Draw(t, "volumes excluded")
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "disks") {
		req.Disks = append(req.Disks, placement.Disk{Name: name("disk", i), Bytes: rapid.Int64Range(1, 6).Draw(t, "bytes")})
	}
	if rapid.Bool().Draw(t, "image") {
		req.Disks[0].Image = &placement.Image{
			SHA256: "node", Bytes: rapid.Int64Range(0, 3).Draw(t, "image bytes"), Stageable: rapid.Bool().Draw(t, "stageable"),
		}
	}
	return req
}

func TestPropertyOnlyPlacesThatAreAllowedAndNeverARefusalWhereThereIsOne(t *testing.T) {
	rapid.Check(t, allowedAndComplete)
}

func FuzzSnapshot(f *testing.F) { f.Fuzz(rapid.MakeFuzz(allowedAndComplete)) }

func allowedAndComplete(t *rapid.T) {
	o := oracle{drawSnapshot(t), drawRequest(t)}
	d, err := placement.Place(o.req, o.snap)

	best, possible, silent := rank{}, false, false
	for _, h := range o.snap.Hosts {
		if !o.hostTakes(h) {
			continue
		}
		for _, l := range o.layouts(h) {
			switch r := o.rank(h, l[0]); {
			case h.Unschedulable == placement.HostSilent:
				silent = true
			case h.Unschedulable != placement.Schedulable:
			case !possible || slices.Compare(r[:], best[:]) < 0:
				best, possible = r, true
			}
		}
	}
	if err != nil {
		refusedRightly(t, o, err, possible, silent)
		return
	}
	for _, h := range o.snap.Hosts {
		if h.Name != d.Host {
			continue
		}
		if h.Unschedulable != placement.Schedulable || !o.hostTakes(h) {
			t.Fatalf("host %s cannot take the VM", h.Name)
		}
		layout := chosen(t, o, h, d)
		if !o.layoutFits(layout) {
			t.Fatalf("disks do not fit: %+v", d.Disks)
		}
		for _, v := range layout {
			if o.req.Role != placement.Worker && v.Name != layout[0].Name {
				t.Fatalf("disks of a %s lie on several volumes: %+v", o.req.Role, d.Disks)
			}
		}
		// With several disks of a worker, the boot disk may have to make room.
		if got := o.rank(h, layout[0]); got != best && (o.req.Role != placement.Worker || len(o.req.Disks) == 1) {
			t.Fatalf("chose %s/%s of rank %v, where %v was to be had", h.Name, layout[0].Name, got, best)
		}
		return
	}
	t.Fatalf("host %q is not in the snapshot", d.Host)
}

func refusedRightly(t *rapid.T, o oracle, err error, possible, silent bool) {
	var u *placement.Unplaceable
	if !errors.As(err, &u) {
		t.Fatalf("not an *Unplaceable: %v", err)
	}
	switch {
	case possible:
		t.Fatalf("refused, though there is a place: %v", err)
	case silent && u.Reason != placement.HostUnreachable:
		t.Fatalf("a silent host would do, but the reason is %s: %v", u.Reason, err)
	case !silent && u.Reason == placement.HostUnreachable && slices.ContainsFunc(o.snap.Hosts, func(h placement.Host) bool {
		return h.Unschedulable == placement.Schedulable
	}):
		t.Fatalf("the reason is %s, but no silent host would do: %v", u.Reason, err)
	}
	counted := 0
	for _, c := range u.Counts {
		counted += c.Hosts
	}
	if counted != len(o.snap.Hosts) {
		t.Fatalf("%d hosts are counted, there are %d: %+v", counted, len(o.snap.Hosts), u.Counts)
	}
}

func chosen(t *rapid.T, o oracle, h placement.Host, d placement.Decision) []placement.Volume {
	var layout []placement.Volume
	for i, disk := range d.Disks {
		at := slices.IndexFunc(o.snap.Volumes, func(v placement.Volume) bool { return v.Name == disk.Volume && o.reaches(h, v) })
		if at < 0 {
			t.Fatalf("host %s does not reach volume %s", h.Name, disk.Volume)
		}
		v := o.snap.Volumes[at]
		image := o.req.Disks[i].Image
		if missing := image != nil && !slices.Contains(v.Images, image.SHA256); missing != disk.StageImage {
			t.Fatalf("StageImage of %s is %v, want %v", disk.Name, disk.StageImage, missing)
		}
		layout = append(layout, v)
	}
	if len(layout) != len(o.req.Disks) {
		t.Fatalf("%d disks asked, %d placed", len(o.req.Disks), len(layout))
	}
	return layout
}

func TestPropertyTheOrderOfTheSnapshotDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, req := drawSnapshot(t), drawRequest(t)
		shuffled := placement.Snapshot{
			Hosts:      rapid.Permutation(snap.Hosts).Draw(t, "hosts'"),
			Volumes:    rapid.Permutation(snap.Volumes).Draw(t, "volumes'"),
			Placements: rapid.Permutation(snap.Placements).Draw(t, "placements'"),
			Policy:     snap.Policy,
		}
		d1, err1 := placement.Place(req, snap)
		d2, err2 := placement.Place(req, shuffled)
		if !reflect.DeepEqual(d1, d2) || !reflect.DeepEqual(err1, err2) {
			t.Fatalf("%+v, %v\n%+v, %v", d1, err1, d2, err2)
		}
	})
}

func TestPropertyAddSeesWhatASnapshotWithTheDecisionWouldShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, first, second := drawSnapshot(t), drawRequest(t), drawRequest(t)
		first.VM, second.VM = "first", "second"
		first.Disks[0].Image = nil
		p := placement.NewPlanner(snap)
		before, errBefore := p.Explain(second)
		d, err := p.Place(first)
		if err != nil {
			return
		}
		p.Add(first, d)
		got, errGot := p.Explain(second)

		seen := placement.Placement{
			VM: first.VM, Group: first.Group, Role: first.Role, Host: d.Host,
			Processors: first.Processors, MemoryMiB: first.MemoryMiB, InFlight: true,
		}
		for _, disk := range d.Disks {
			seen.Disks = append(seen.Disks, placement.PlacedDisk{Volume: disk.Volume, Bytes: disk.Bytes})
		}
		snap.Placements = append(snap.Placements, seen)
		want, errWant := placement.Place(second, snap)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(errGot, errWant) {
			t.Fatalf("after Add: %+v, %v\nfrom the snapshot: %+v, %v", got, errGot, want, errWant)
		}
		p.Remove(first.VM)
		if after, errAfter := p.Explain(second); !reflect.DeepEqual(after, before) || !reflect.DeepEqual(errAfter, errBefore) {
			t.Fatalf("after Remove: %+v, %v\nbefore Add: %+v, %v", after, errAfter, before, errBefore)
		}
	})
}

func TestPropertyDisksOfOneSizeSpreadEvenlyOverEqualVolumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 40).Draw(t, "GiB") * gib
		volumes := rapid.IntRange(1, 8).Draw(t, "volumes")
		disks, _ := fill(t, volumes, func() int64 { return size })
		if least, most := slices.Min(disks), slices.Max(disks); most-least > 1 {
			t.Fatalf("disks on volumes: %v", disks)
		}
	})
}

func TestPropertyBytesSpreadEvenlyOverEqualVolumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		volumes := rapid.IntRange(1, 8).Draw(t, "volumes")
		_, used := fill(t, volumes, func() int64 { return rapid.Int64Range(1, 40).Draw(t, "GiB") * gib })
		// A volume within the tolerance of the emptiest may take one disk more.
		limit := int64(placement.DefaultBytesTolerance*1000)*gib + 40*gib
		if least, most := slices.Min(used), slices.Max(used); most-least > limit {
			t.Fatalf("bytes on volumes: %v", used)
		}
	})
}

// fill places workers on equal volumes of 1000 GiB and tells how many disks and
// bytes each volume got.
func fill(t *rapid.T, volumes int, size func() int64) (disks []int, used []int64) {
	p := placement.NewPlanner(world(rapid.IntRange(1, 4).Draw(t, "hosts"), volumes))
	disks, used = make([]int, volumes), make([]int64, volumes)
	for i := range rapid.IntRange(1, 10*volumes).Draw(t, "vms") {
		req := worker(fmt.Sprintf("vm%d", i), memory(1), func(r *placement.Request) {
			r.Disks[0].Bytes, r.Processors, r.Group = size(), 1, "pool"
		})
		d, err := p.Place(req)
		if err != nil {
			t.Fatalf("VM %d: %v", i, err)
		}
		p.Add(req, d)
		for v := range volumes {
			if d.Disks[0].Volume == name("csv", v) {
				disks[v]++
				used[v] += d.Disks[0].Bytes
			}
		}
	}
	return disks, used
}
