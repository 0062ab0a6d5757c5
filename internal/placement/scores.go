package placement

import (
	"math"
	"slices"
)

// score ranks candidates by one point of view. Exactly one of host and volume is
// set; lower is better.
type score struct {
	name   string
	host   func(*Planner, *ask, int32) float64
	volume func(*Planner, *ask, int32) float64
	// tolerance is how much worse than the best still counts as the best.
	tolerance func(*Planner) float64
	// idle tells that all candidates are alike by the score; nil for one that is
	// always asked.
	idle func(*Planner, *ask) bool
	// moves tells whether a VM is worth being made anew for what it has better elsewhere by
	// the score, if that is more than movesBeyond; nil for never.
	moves       func(*ask) bool
	movesBeyond float64
}

// The scores, in no order. Lower is better.
var (
	untried = score{
		name: "not to be avoided",
		idle: func(_ *Planner, a *ask) bool { return len(a.Avoid) == 0 },
		host: func(p *Planner, a *ask, h int32) float64 {
			if slices.Contains(a.Avoid, p.hosts[h].name) {
				return 1
			}
			return 0
		},
	}
	directIO = score{
		name: "direct I/O",
		idle: func(p *Planner, _ *ask) bool { return !p.redirected },
		volume: func(p *Planner, _ *ask, v int32) float64 {
			if p.volumes[v].fault == VolumeRedirected {
				return 1
			}
			return 0
		},
	}
	domainApart = score{
		name:  "failure domain apart",
		idle:  alone,
		moves: always,
		host:  func(p *Planner, _ *ask, h int32) float64 { return float64(p.onDomain[p.hosts[h].domain]) },
	}
	hostApart = score{
		name:  "host apart",
		idle:  alone,
		moves: always,
		host:  func(p *Planner, _ *ask, h int32) float64 { return float64(p.onHost[h]) },
	}
	volumeApart = score{
		name:   "volume apart",
		idle:   alone,
		moves:  always,
		volume: func(p *Planner, _ *ask, v int32) float64 { return float64(p.onVolume[v]) },
	}
	evenBytes = score{
		name:        "even bytes",
		volume:      spreadBytes,
		tolerance:   func(p *Planner) float64 { return p.policy.BytesTolerance },
		moves:       ofWorkers,
		movesBeyond: worthMoving,
	}
	evenDisks = score{
		name: "even disks",
		volume: func(p *Planner, a *ask, v int32) float64 {
			return float64(p.volumes[v].disks+a.lead.disks) * p.volumes[v].share
		},
	}
	// evenSizes gives big disks to volumes that have small ones so far. With the
	// number of disks even, this is what evens out the bytes: it costs nothing now
	// and saves the tolerance for later.
	evenSizes = score{
		name: "even sizes",
		volume: func(p *Planner, a *ask, v int32) float64 {
			vol := &p.volumes[v]
			expected := float64(vol.disks+a.lead.disks) * a.meanBytes
			return math.Abs(float64(vol.ours+a.lead.bytes)-expected) * vol.share
		},
	}
	leastBytes = score{
		name:   "least bytes",
		volume: relativeBytes,
	}
	imageThere = score{
		name: "image is there",
		volume: func(p *Planner, a *ask, v int32) float64 {
			if a.lead.staged(&p.volumes[v]) {
				return 0
			}
			return 1
		},
	}
	// evenScopes leaves room of the same kind everywhere, so that the members of the
	// next group, which go to different failure domains, find it there.
	evenScopes = score{
		name: "even failover clusters",
		volume: func(p *Planner, _ *ask, v int32) float64 {
			s := &p.scopes[p.volumes[v].scope]
			return float64(s.disks) / float64(max(s.bytes, 1))
		},
	}
	evenMemory = score{
		name: "even memory",
		host: func(p *Planner, a *ask, h int32) float64 {
			m := p.hosts[h].memory
			return float64(m-p.hosts[h].freeMemory()+a.MemoryMiB) / float64(m)
		},
	}
)

// apartScores are for members of a quorum or a failover pair, in their order:
// nothing but a host that failed before and a redirected volume is worse than one
// fault that hits two of them.
var apartScores = []*score{
	&untried, &directIO, &domainApart, &hostApart, &volumeApart, &evenBytes, &evenDisks, &evenSizes, &leastBytes, &evenScopes, &imageThere, &evenMemory,
}

// evenScores are for workers, in their order. Of a pool no two go to one host
// while there is another, or a host that was just added would get a whole pool.
// Beyond that their disks are what evens out the volumes: first no volume runs
// ahead of the others in fill, then all of about the same fill get the same
// number of disks.
var evenScores = []*score{
	&untried, &directIO, &hostApart, &evenBytes, &evenDisks, &domainApart, &volumeApart, &evenSizes, &leastBytes, &evenScopes, &imageThere, &evenMemory,
}

// alone tells that no other member of the group has a place.
func alone(_ *Planner, a *ask) bool { return !a.company }

func scoresFor(r Role) []*score {
	if r.oneVolume() {
		return apartScores
	}
	return evenScores
}

// relativeBytes is how full the volume would be. The image that it may have to
// take is left out, or the volumes that have it would fill up first.
func relativeBytes(p *Planner, a *ask, v int32) float64 {
	return float64(p.volumes[v].provisioned+a.lead.bytes) * p.volumes[v].share
}

// spreadBytes has volumes with a member of the group look fuller than they are, to
// a worker that minds.
func spreadBytes(p *Planner, a *ask, v int32) float64 {
	full := relativeBytes(p, a, v)
	if a.SpreadWeight > 0 && p.onVolume[v] > 0 && !a.oneVolume {
		full += a.SpreadWeight
	}
	return full
}
