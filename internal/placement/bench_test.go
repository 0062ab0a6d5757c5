package placement_test

import (
	"fmt"
	"testing"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// fleet is 500 hosts in failover clusters of 10, in 5 failure domains, with
// 2,000 volumes.
func fleet() placement.Snapshot {
	var snap placement.Snapshot
	for i := range 500 {
		snap.Hosts = append(snap.Hosts, placement.Host{
			Name: fmt.Sprintf("hv%03d", i), FailoverCluster: fmt.Sprintf("fc%02d", i/10), FailureDomain: fmt.Sprintf("hall%d", i/100),
			Processors: 64, MemoryMiB: 512 << 10, ReservedMiB: 8 << 10, Switches: []string{"lan"},
		})
	}
	for i := range 2000 {
		snap.Volumes = append(snap.Volumes, placement.Volume{
			Name: fmt.Sprintf("csv%04d", i), FailoverCluster: fmt.Sprintf("fc%02d", i/40), Bytes: 10_000 * gib, FreeBytes: 10_000 * gib,
		})
	}
	return snap
}

// machines are clusters of 3 control-plane members and 7 workers, with disks of
// 40 to 120 GiB.
func machines(n int) []placement.Request {
	reqs := make([]placement.Request, n)
	for i := range reqs {
		role, group := placement.Worker, fmt.Sprintf("pool%d", i/10)
		if i%10 < 3 {
			role, group = placement.ControlPlane, fmt.Sprintf("control plane %d", i/10)
		}
		reqs[i] = vm(fmt.Sprintf("vm%05d", i), role, group, func(r *placement.Request) { r.Disks[0].Bytes = int64(40+20*(i*7%5)) * gib })
	}
	return reqs
}

func placeAll(tb testing.TB, reqs []placement.Request) (*placement.Planner, map[string]int64, map[string]int) {
	p := placement.NewPlanner(fleet())
	provisioned, disks := map[string]int64{}, map[string]int{}
	for _, r := range reqs {
		d, err := p.Place(r)
		if err != nil {
			tb.Fatal(err)
		}
		p.Add(r, d)
		provisioned[d.Disks[0].Volume] += d.Disks[0].Bytes
		disks[d.Disks[0].Volume]++
	}
	return p, provisioned, disks
}

func BenchmarkTenThousandFromScratch(b *testing.B) {
	reqs := machines(10_000)
	for b.Loop() {
		_, provisioned, disks := placeAll(b, reqs)
		least, most, leastBytes, mostBytes := 1<<30, 0, int64(1)<<60, int64(0)
		for i := range 2000 {
			n, used := disks[fmt.Sprintf("csv%04d", i)], provisioned[fmt.Sprintf("csv%04d", i)]
			least, most = min(least, n), max(most, n)
			leastBytes, mostBytes = min(leastBytes, used), max(mostBytes, used)
		}
		b.ReportMetric(float64(most-least), "disks-max-min")
		b.ReportMetric(float64(mostBytes-leastBytes)/float64(10_000*gib)*100, "bytes-max-min-%-of-volume")
	}
}

func BenchmarkOneIntoTheFullPicture(b *testing.B) {
	p, _, _ := placeAll(b, machines(10_000))
	req := machines(10_001)[10_000]
	for b.Loop() {
		if _, err := p.Place(req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlannerFromSnapshot(b *testing.B) {
	snap := fleet()
	p := placement.NewPlanner(snap)
	for _, r := range machines(10_000) {
		d, err := p.Place(r)
		if err != nil {
			b.Fatal(err)
		}
		p.Add(r, d)
		snap.Placements = append(snap.Placements, placement.Placement{
			VM: r.VM, Group: r.Group, Role: r.Role, Host: d.Host, Processors: r.Processors, MemoryMiB: r.MemoryMiB,
			Disks: []placement.PlacedDisk{{Volume: d.Disks[0].Volume, Bytes: d.Disks[0].Bytes}},
		})
	}
	for b.Loop() {
		placement.NewPlanner(snap)
	}
}
