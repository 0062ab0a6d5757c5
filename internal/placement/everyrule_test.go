package placement_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// place is where a VM could go: a host, and a volume for each of its disks.
type place struct {
	host   placement.Host
	layout []placement.Volume
}

// rules are what placement promises, each told apart from all others, in the words of
// whoever asked for it.
var rules = []struct {
	name string
	// keeps tells whether a place keeps to the rule. Possible are all places that break
	// none of the rules by which a place can be at all.
	keeps func(o oracle, at place, possible []place) bool
}{
	{"a host that is silent, lost, drained or in maintenance takes nothing", func(_ oracle, at place, _ []place) bool {
		return at.host.Unschedulable == placement.Schedulable
	}},
	{"a volume without access, dismounted or in maintenance takes nothing", everyVolume(func(_ oracle, v placement.Volume, _ []placement.Disk) bool {
		return v.Fault == placement.VolumeHealthy || v.Fault == placement.VolumeRedirected
	})},
	{"a failover cluster keeps room for the loss of one host", func(o oracle, at place, _ []place) bool { return o.survivesAHost(at.host) }},
	{"memory is given out but for the host's reserve", func(o oracle, at place, _ []place) bool {
		left := at.host.MemoryMiB - at.host.ReservedMiB
		for _, p := range o.others() {
			if p.Host == at.host.Name {
				left -= p.MemoryMiB
			}
		}
		return o.req.MemoryMiB <= left
	}},
	{"memory that others than Capstan use is not given out", func(o oracle, at place, _ []place) bool {
		return at.host.FreeMiB == 0 || o.req.MemoryMiB <= at.host.FreeMiB-at.host.ReservedMiB
	}},
	{"memory that was promised counts before its host reports it", func(o oracle, at place, _ []place) bool {
		left := at.host.FreeMiB - at.host.ReservedMiB
		for _, p := range o.others() {
			if p.InFlight && p.Host == at.host.Name {
				left -= p.MemoryMiB
			}
		}
		return at.host.FreeMiB == 0 || o.req.MemoryMiB <= left
	}},
	{"processors are given out as often as the overcommit says", func(o oracle, at place, _ []place) bool {
		_, left := o.left(at.host)
		return int64(o.req.Processors) <= left && o.req.Processors <= at.host.Processors
	}},
	{"provisioned bytes count, as often as the overcommit says", everyVolume(func(o oracle, v placement.Volume, disks []placement.Disk) bool {
		return float64(v.ProvisionedBytes+bytesOf(disks)) <= o.limit(v)
	})},
	{"bytes that were promised count before their host reports them", everyVolume(func(o oracle, v placement.Volume, disks []placement.Disk) bool {
		return float64(v.ProvisionedBytes+o.inFlight(v)+bytesOf(disks)) <= o.limit(v)
	})},
	{"a share of each volume stays free", everyVolume(func(o oracle, v placement.Volume, _ []placement.Disk) bool {
		return float64(v.FreeBytes) >= o.reserve(v)
	})},
	{"a failure domain binds", func(o oracle, at place, _ []place) bool {
		return o.req.FailureDomain == "" || at.host.FailureDomain == o.req.FailureDomain
	}},
	{"a host selector binds", func(o oracle, at place, _ []place) bool {
		for _, r := range o.req.HostLabels {
			value, there := at.host.Labels[r.Key]
			listed := there && slices.Contains(r.Values, value)
			switch {
			case r.Operator == placement.In && !listed, r.Operator == placement.NotIn && listed,
				r.Operator == placement.Exists && !there, r.Operator == placement.DoesNotExist && there:
				return false
			}
		}
		return true
	}},
	{"a host has every switch", func(o oracle, at place, _ []place) bool {
		return !slices.ContainsFunc(o.req.Switches, func(s string) bool { return !slices.Contains(at.host.Switches, s) })
	}},
	{"volumes that are asked for bind", everyVolume(func(o oracle, v placement.Volume, _ []placement.Disk) bool {
		return len(o.req.Volumes) == 0 || slices.Contains(o.req.Volumes, v.Name)
	})},
	{"volumes that are excluded are never taken", everyVolume(func(o oracle, v placement.Volume, _ []placement.Disk) bool {
		return !slices.Contains(o.req.ExcludedVolumes, v.Name)
	})},
	{"an image that is not there and cannot be brought is not needed", func(o oracle, at place, _ []place) bool {
		for i, d := range o.req.Disks {
			if d.Image != nil && !d.Image.Stageable && !slices.Contains(at.layout[i].Images, d.Image.SHA256) {
				return false
			}
		}
		return true
	}},
	{"all disks of a control-plane or load-balancer VM are on one volume", func(o oracle, at place, _ []place) bool {
		return o.req.Role == placement.Worker || len(on(o, at.layout)) == 1
	}},
	{"apart, if that is required", func(o oracle, at place, _ []place) bool {
		r := o.fellows(at)
		return !o.req.Apart || r.host == 0 && r.volume == 0
	}},
	{"a redirected volume is the last resort", preferred(func(o oracle, at place) []int { return ranked(o, at)[:1] })},
	{"machines of one group have different failure domains while there are others", preferred(func(o oracle, at place) []int {
		if o.req.Role == placement.Worker {
			return nil // their disks are evened out first
		}
		return ranked(o, at)[:2]
	})},
	{"machines of one group have different hosts while there are others", preferred(func(o oracle, at place) []int { return ranked(o, at)[:3] })},
	{"members of a control plane and load-balancer VMs have different volumes while there are others", preferred(ranked)},
	{"a pool has different volumes while none is fuller by more than the spread weight", keepsSpreadWeight},
}

// everyVolume is a rule for volumes, each with the disks that it would get.
func everyVolume(keeps func(o oracle, v placement.Volume, disks []placement.Disk) bool) func(oracle, place, []place) bool {
	return func(o oracle, at place, _ []place) bool {
		for name, disks := range on(o, at.layout) {
			i := slices.IndexFunc(at.layout, func(v placement.Volume) bool { return v.Name == name })
			if !keeps(o, at.layout[i], disks) {
				return false
			}
		}
		return true
	}
}

// preferred is a rule by which nothing is taken while there is something better. Where
// several disks go to several volumes, the boot disk may have to make room.
func preferred(rank func(o oracle, at place) []int) func(oracle, place, []place) bool {
	return func(o oracle, at place, possible []place) bool {
		if o.req.Role == placement.Worker && len(o.req.Disks) > 1 {
			return true
		}
		return !slices.ContainsFunc(possible, func(other place) bool { return slices.Compare(rank(o, other), rank(o, at)) < 0 })
	}
}

func ranked(o oracle, at place) []int {
	r := o.rank(at.host, at.layout[0])
	return r[:]
}

// keepsSpreadWeight looks at workers of one disk: it is on a volume without another
// member unless all of those are fuller by the weight, as far as volumes are told apart.
func keepsSpreadWeight(o oracle, at place, possible []place) bool {
	if o.req.Role != placement.Worker || len(o.req.Disks) > 1 || o.fellows(at).volume == 0 {
		return true
	}
	full := func(at place) float64 {
		v := at.layout[0]
		return float64(v.ProvisionedBytes+o.inFlight(v)+bytesOf(o.req.Disks)) / float64(v.Bytes)
	}
	return !slices.ContainsFunc(possible, func(other place) bool {
		return slices.Equal(ranked(o, other)[:3], ranked(o, at)[:3]) && o.fellows(other).volume == 0 &&
			full(other)+placement.DefaultBytesTolerance < full(at)+o.req.SpreadWeight-1e-9
	})
}

// fellows counts the other machines of the group that share a place's host or volumes.
func (o oracle) fellows(at place) (shared struct{ host, volume int }) {
	for _, p := range o.members() {
		if p.Host == at.host.Name {
			shared.host++
		}
		if slices.ContainsFunc(p.Disks, func(d placement.PlacedDisk) bool {
			return slices.ContainsFunc(at.layout, func(v placement.Volume) bool { return o.onVolume(p, d, v) })
		}) {
			shared.volume++
		}
	}
	return shared
}

// on are the disks on each volume of a layout.
func on(o oracle, layout []placement.Volume) map[string][]placement.Disk {
	disks := map[string][]placement.Disk{}
	for i, v := range layout {
		disks[v.Name] = append(disks[v.Name], o.req.Disks[i])
	}
	return disks
}

func bytesOf(disks []placement.Disk) (sum int64) {
	for _, d := range disks {
		sum += d.Bytes
	}
	return sum
}

// places are all that the VM can have, and those that are thinkable: a host, and one or two
// volumes that it reaches, be that possible or not.
func (o oracle) places() (possible, thinkable []place) {
	for _, h := range o.snap.Hosts {
		for _, v := range o.snap.Volumes {
			if !o.reaches(h, v) {
				continue
			}
			together := place{h, slices.Repeat([]placement.Volume{v}, len(o.req.Disks))}
			thinkable = append(thinkable, together)
			for _, w := range o.snap.Volumes {
				if len(o.req.Disks) > 1 && o.reaches(h, w) {
					thinkable = append(thinkable, place{h, append(slices.Clone(together.layout[1:]), w)})
				}
			}
		}
		if h.Unschedulable != placement.Schedulable || !o.hostTakes(h) {
			continue
		}
		for _, l := range o.layouts(h) {
			possible = append(possible, place{h, l})
		}
	}
	return possible, thinkable
}

// drawRoomy draws worlds as drawSnapshot does, but for what is tight there: most VMs have a
// place, so that much is left to choose. Of two failover clusters each has to keep room.
func drawRoomy(t *rapid.T) placement.Snapshot {
	snap := drawSnapshot(t)
	two := rapid.Bool().Draw(t, "two clusters")
	snap.Policy = placement.Policy{NoSpareHost: !two}
	clusterOf, more := func(int) string { return "fc1" }, int64(40)
	if two {
		clusterOf, more = func(i int) string { return name("fc", i%2) }, 2
	}
	for i := range snap.Hosts {
		h := &snap.Hosts[i]
		h.FailoverCluster, h.Processors, h.Switches = clusterOf(i), 64, []string{"lan", "dmz"}
		h.MemoryMiB, h.FreeMiB = h.MemoryMiB+more, 0
	}
	volumes := snap.Volumes
	snap.Volumes = nil
	for i, v := range volumes {
		v.FailoverCluster, v.Host = clusterOf(i), ""
		v.Bytes, v.FreeBytes = v.Bytes+40, v.Bytes+40
		if !slices.ContainsFunc(snap.Volumes, func(o placement.Volume) bool { return o.Name == v.Name }) {
			snap.Volumes = append(snap.Volumes, v)
		}
	}
	return snap
}

func TestPropertyEveryRuleIsKept(t *testing.T) {
	// Of a rule that no drawn world ever tempts anybody to break, nothing is shown.
	tempted := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		draw := drawSnapshot
		if rapid.Bool().Draw(t, "roomy") {
			draw = drawRoomy
		}
		o := oracle{draw(t), drawRequest(t)}
		d, err := placement.Place(o.req, o.snap)
		if err != nil {
			return
		}
		i := slices.IndexFunc(o.snap.Hosts, func(h placement.Host) bool { return h.Name == d.Host })
		at := place{o.snap.Hosts[i], chosen(t, o, o.snap.Hosts[i], d)}
		possible, thinkable := o.places()
		// What is possible keeps most rules already: only the choice among it is left.
		for _, rule := range rules {
			if !rule.keeps(o, at, possible) {
				t.Fatalf("%s: not %s with %+v", rule.name, d.Host, d.Disks)
			}
			if slices.ContainsFunc(slices.Concat(possible, thinkable), func(other place) bool { return !rule.keeps(o, other, possible) }) {
				tempted[rule.name]++
			}
		}
	})
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if tempted[rule.name] == 0 {
				t.Error("no world tempts anybody to break it")
			}
		})
	}
}

func TestPropertyAPoolHasAHostAndAVolumeForEachMachineWhileThereAreEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts, volumes := rapid.IntRange(1, 8).Draw(t, "hosts"), rapid.IntRange(1, 8).Draw(t, "volumes")
		p := placement.NewPlanner(world(hosts, volumes))
		onHosts, onVolumes := map[string]int{}, map[string]int{}
		machines := rapid.IntRange(1, 16).Draw(t, "machines")
		for i := range machines {
			req := vm(name("vm", i), placement.Worker, "pool", memory(1), func(r *placement.Request) {
				r.Processors, r.SpreadWeight = 1, placement.DefaultSpreadWeight
			})
			d, err := p.Place(req)
			if err != nil {
				t.Fatalf("machine %d: %v", i, err)
			}
			p.Add(req, d)
			onHosts[d.Host]++
			onVolumes[d.Disks[0].Volume]++
		}
		for what, n := range map[string]struct {
			on    map[string]int
			there int
		}{"hosts": {onHosts, hosts}, "volumes": {onVolumes, volumes}} {
			most := 0
			for _, count := range n.on {
				most = max(most, count)
			}
			if want := int(math.Ceil(float64(machines) / float64(n.there))); most != want {
				t.Fatalf("%d machines on %d %s: %v", machines, n.there, what, n.on)
			}
		}
	})
}
