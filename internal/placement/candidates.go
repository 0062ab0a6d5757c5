package placement

import "math"

// candidates are what filters and scores have left: in each scope, every host
// with every volume. Its memory is used again for each decision.
type candidates struct {
	hosts, volumes []int32
	// hostsOf and volumesOf count by scope.
	hostsOf, volumesOf []int32
	values             []float64
	filters            filters
}

func (c *candidates) prepare(p *Planner) {
	c.hosts = make([]int32, 0, len(p.hosts))
	c.volumes = make([]int32, 0, len(p.volumes))
	c.hostsOf = make([]int32, len(p.scopes))
	c.volumesOf = make([]int32, len(p.scopes))
	c.values = make([]float64, max(len(p.hosts), len(p.volumes)))
}

// filter starts over with all hosts and volumes that pass the filters.
func (c *candidates) filter(p *Planner, a *ask) {
	c.hosts, c.volumes = c.hosts[:0], c.volumes[:0]
	clear(c.hostsOf)
	clear(c.volumesOf)
	c.filters.prepare(a)
	for i := range p.hosts {
		if h := &p.hosts[i]; c.filters.hostFits(p, a, h) {
			c.hosts = append(c.hosts, int32(i))
			c.hostsOf[h.scope]++
		}
	}
	for i := range p.volumes {
		if v := &p.volumes[i]; c.hostsOf[v.scope] > 0 && c.filters.volumeFits(p, &a.lead, v) {
			c.volumes = append(c.volumes, int32(i))
			c.volumesOf[v.scope]++
		}
	}
	c.dropHosts(p)
}

func (c *candidates) empty() bool { return len(c.hosts) == 0 || len(c.volumes) == 0 }

// narrow keeps what is best by one score.
func (c *candidates) narrow(p *Planner, a *ask, s *score) (best float64) {
	within := 0.0
	if s.tolerance != nil {
		within = s.tolerance(p)
	}
	if s.host != nil {
		before := len(c.hosts)
		if c.hosts, best = c.keepBest(p, a, c.hosts, s.host, within); len(c.hosts) == before {
			return best
		}
		clear(c.hostsOf)
		for _, h := range c.hosts {
			c.hostsOf[p.hosts[h].scope]++
		}
		c.dropVolumes(p)
		return best
	}
	before := len(c.volumes)
	if c.volumes, best = c.keepBest(p, a, c.volumes, s.volume, within); len(c.volumes) == before {
		return best
	}
	clear(c.volumesOf)
	for _, v := range c.volumes {
		c.volumesOf[p.volumes[v].scope]++
	}
	c.dropHosts(p)
	return best
}

func (c *candidates) keepBest(p *Planner, a *ask, from []int32, value func(*Planner, *ask, int32) float64, within float64) ([]int32, float64) {
	values := c.values[:len(from)]
	best, worst := math.Inf(1), math.Inf(-1)
	for i, x := range from {
		v := value(p, a, x)
		values[i] = v
		if v < best {
			best = v
		}
		if v > worst {
			worst = v
		}
	}
	if worst <= best+within {
		return from, best
	}
	kept := from[:0]
	for i, x := range from {
		if values[i] <= best+within {
			kept = append(kept, x)
		}
	}
	return kept, best
}

// dropVolumes drops volumes that no remaining host reaches.
func (c *candidates) dropVolumes(p *Planner) {
	kept := c.volumes[:0]
	for _, v := range c.volumes {
		if c.hostsOf[p.volumes[v].scope] > 0 {
			kept = append(kept, v)
		}
	}
	c.volumes = kept
}

// dropHosts drops hosts that reach no remaining volume.
func (c *candidates) dropHosts(p *Planner) {
	kept := c.hosts[:0]
	for _, h := range c.hosts {
		if c.volumesOf[p.hosts[h].scope] > 0 {
			kept = append(kept, h)
		}
	}
	c.hosts = kept
}
