package placement

// score ranks candidates by one point of view. Exactly one of host and volume is
// set; lower is better.
type score struct {
	name   string
	host   func(*Planner, *ask, int32) float64
	volume func(*Planner, *ask, int32) float64
	// tolerance is how much worse than the best still counts as the best.
	tolerance func(*Planner) float64
}

// scores are all scores in their order; each judges only what the ones before
// left over.
var scores = []score{
	{
		name: "direct I/O",
		volume: func(p *Planner, _ *ask, v int32) float64 {
			if p.volumes[v].fault == VolumeRedirected {
				return 1
			}
			return 0
		},
	},
	{
		name: "failure domain apart",
		host: func(p *Planner, _ *ask, h int32) float64 { return float64(p.onDomain[p.hosts[h].domain]) },
	},
	{
		name: "host apart",
		host: func(p *Planner, _ *ask, h int32) float64 { return float64(p.onHost[h]) },
	},
	{
		name:   "volume apart",
		volume: func(p *Planner, _ *ask, v int32) float64 { return float64(p.onVolume[v]) },
	},
	// Bytes before and after the number of disks: first no volume runs ahead of the
	// others in fill, then all of about the same fill get the same number of disks,
	// then the smallest fill decides.
	{
		name:      "even bytes",
		volume:    relativeBytes,
		tolerance: func(p *Planner) float64 { return p.policy.BytesTolerance },
	},
	{
		name: "even disks",
		volume: func(p *Planner, a *ask, v int32) float64 {
			return float64(p.volumes[v].disks+a.lead.disks) * p.volumes[v].share
		},
	},
	{
		name:   "least bytes",
		volume: relativeBytes,
	},
	{
		name: "image is there",
		volume: func(p *Planner, a *ask, v int32) float64 {
			if a.lead.staged(&p.volumes[v]) {
				return 0
			}
			return 1
		},
	},
	{
		name: "even memory",
		host: func(p *Planner, a *ask, h int32) float64 {
			m := p.hosts[h].memory
			return float64(m-p.hosts[h].freeMemory()+a.MemoryMiB) / float64(m)
		},
	},
}

// relativeBytes is how full the volume would be. The image that it may have to
// take is left out, or the volumes that have it would fill up first.
func relativeBytes(p *Planner, a *ask, v int32) float64 {
	return float64(p.volumes[v].provisioned+a.lead.bytes) * p.volumes[v].share
}
