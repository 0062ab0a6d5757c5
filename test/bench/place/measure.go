package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// singles is how often the one VM is placed: what is told is the median.
const singles = 101

// result is what was measured.
type result struct {
	all, single time.Duration
	// disks and bytes are those of each volume.
	disks []int
	bytes []int64
	// together counts VMs that share host or volume with another of their group,
	// without need.
	together int
}

func measure(s size) (*result, error) {
	snap := s.fleet()
	at := make(map[string]int, s.volumes)
	for i := range snap.Volumes {
		at[snap.Volumes[i].Name] = i
	}
	r := &result{disks: make([]int, s.volumes), bytes: make([]int64, s.volumes)}
	requests := make([]placement.Request, s.vms)
	for i := range requests {
		requests[i] = machine(i)
	}
	decisions := make([]placement.Decision, s.vms)

	began := time.Now()
	planner := placement.NewPlanner(snap)
	for i, req := range requests {
		d, err := planner.Place(req)
		if err != nil {
			return nil, fmt.Errorf("placing VM %d of %d: %w", i+1, s.vms, err)
		}
		planner.Add(req, d)
		decisions[i] = d
	}
	r.all = time.Since(began)

	groups := map[string][]placement.Decision{}
	for i, d := range decisions {
		for _, disk := range d.Disks {
			r.disks[at[disk.Volume]]++
			r.bytes[at[disk.Volume]] += disk.Bytes
		}
		group := requests[i].Group
		if slices.ContainsFunc(groups[group], func(o placement.Decision) bool {
			return o.Host == d.Host || o.Disks[0].Volume == d.Disks[0].Volume
		}) {
			r.together++
		}
		groups[group] = append(groups[group], d)
	}
	return r, r.one(planner, machine(s.vms))
}

// one places one more VM into the full picture, and does not count it as taken.
func (r *result) one(planner *placement.Planner, req placement.Request) error {
	times := make([]time.Duration, singles)
	for i := range times {
		began := time.Now()
		if _, err := planner.Place(req); err != nil {
			return fmt.Errorf("placing one more VM: %w", err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	r.single = times[singles/2]
	return nil
}

func (r *result) spread() (disks int, percent float64) {
	disks = slices.Max(r.disks) - slices.Min(r.disks)
	return disks, float64(slices.Max(r.bytes)-slices.Min(r.bytes)) / float64(volumeBytes) * 100
}

func (r *result) print(to io.Writer) {
	disks, percent := r.spread()
	const gibibytes = float64(gib)
	fmt.Fprintf(to, "Disks on a volume: %d to %d. Provisioned on a volume: %.0f to %.0f GiB of %.0f.\n",
		slices.Min(r.disks), slices.Max(r.disks), float64(slices.Min(r.bytes))/gibibytes, float64(slices.Max(r.bytes))/gibibytes, float64(volumeBytes)/gibibytes)
	fmt.Fprintf(to, "VMs beside another of their group on a host or volume: %d.\n", r.together)
	fmt.Fprintf(to, "RESULT place_ms=%d single_us=%d spread_max_minus_min=%d spread_bytes_pct=%.2f\n",
		int64(math.Round(float64(r.all)/float64(time.Millisecond))), r.single.Microseconds(), disks, percent)
}
