package placement

import (
	"cmp"
	"slices"
)

// searchSteps bounds the search for room for the second and further disks. It is
// reached only where volumes are nearly full and disks many: then a place that
// exists may be missed, but time is not.
const searchSteps = 10_000

// spread puts the disks on the volumes of the lead's scope, the lead disk on the
// lead volume.
func (p *Planner) spread(a *ask, lead int32) ([]DiskPlace, bool) {
	s := search{planner: p, ask: a, places: make([]DiskPlace, len(a.Disks))}
	if a.oneVolume {
		for i := range a.Disks {
			s.take(i, lead)
		}
		return s.places, true
	}
	s.volumes = p.scopes[p.volumes[lead].scope].volumes
	s.extra = make([]extra, len(s.volumes))
	at := slices.Index(s.volumes, lead)
	s.put(0, at)
	// Big disks first: they have the fewest places to go to.
	for i := 1; i < len(a.Disks); i++ {
		s.order = append(s.order, i)
	}
	slices.SortStableFunc(s.order, func(x, y int) int { return cmp.Compare(a.Disks[y].Bytes, a.Disks[x].Bytes) })
	if s.try(0) {
		return s.places, true
	}
	// The lead volume may be the one that another disk needs: search once more with
	// every volume open to the boot disk.
	s.lift(0, at)
	s.order = append(s.order, 0)
	slices.SortStableFunc(s.order, func(x, y int) int { return cmp.Compare(a.Disks[y].Bytes, a.Disks[x].Bytes) })
	s.steps = 0
	return s.places, s.try(0)
}

// search is a search with backtracking for a volume for each disk.
type search struct {
	planner *Planner
	ask     *ask
	volumes []int32
	// extra is what the disks of this VM add to each volume.
	extra  []extra
	order  []int
	places []DiskPlace
	steps  int
}

type extra struct {
	bytes, staging, disks int64
}

// try places the disks from the nth of the order on.
func (s *search) try(n int) bool {
	if n == len(s.order) {
		return true
	}
	disk := s.order[n]
	for _, at := range s.ranked(disk) {
		if s.steps++; s.steps > searchSteps {
			return false
		}
		s.put(disk, at)
		if s.try(n + 1) {
			return true
		}
		s.lift(disk, at)
	}
	return false
}

// ranked are the volumes that have room for the disk, best first, in the sense
// of the scores by which the lead volume was chosen.
func (s *search) ranked(disk int) []int {
	need := s.planner.need(&s.ask.Request, s.ask.Disks[disk:disk+1])
	type ranked struct {
		at          int
		redirected  int
		used, disks float64
	}
	var fitting []ranked
	for at, index := range s.volumes {
		v, e := s.planner.volumes[index], s.extra[at]
		v.provisioned += e.bytes + e.staging
		v.free -= e.staging
		if !s.planner.volumeFits(&need, &v) {
			continue
		}
		r := ranked{at: at}
		if v.fault == VolumeRedirected {
			r.redirected = 1
		}
		r.used = float64(v.provisioned+need.bytes) * v.share
		r.disks = float64(v.disks+e.disks+1) * v.share
		fitting = append(fitting, r)
	}
	least := 0.0
	for i, r := range fitting {
		if i == 0 || r.used < least {
			least = r.used
		}
	}
	uneven := func(r ranked) float64 { return max(r.used-least-s.planner.policy.BytesTolerance, 0) }
	slices.SortStableFunc(fitting, func(x, y ranked) int {
		return cmp.Or(
			cmp.Compare(x.redirected, y.redirected),
			cmp.Compare(uneven(x), uneven(y)),
			cmp.Compare(x.disks, y.disks),
			cmp.Compare(x.used, y.used),
		)
	})
	order := make([]int, len(fitting))
	for i, r := range fitting {
		order[i] = r.at
	}
	return order
}

func (s *search) put(disk, at int) {
	s.take(disk, s.volumes[at])
	s.add(disk, at, 1)
}

func (s *search) lift(disk, at int) { s.add(disk, at, -1) }

func (s *search) add(disk, at int, sign int64) {
	d := &s.ask.Disks[disk]
	e := &s.extra[at]
	e.disks += sign
	e.bytes += sign * d.Bytes
	if s.places[disk].StageImage {
		e.staging += sign * d.Image.Bytes
	}
}

// take records the volume of a disk.
func (s *search) take(disk int, volume int32) {
	d := &s.ask.Disks[disk]
	need := s.planner.need(&s.ask.Request, s.ask.Disks[disk:disk+1])
	v := &s.planner.volumes[volume]
	s.places[disk] = DiskPlace{Name: d.Name, Volume: v.name, Bytes: d.Bytes, StageImage: !need.staged(v)}
}
