package placement

// Skew is how many members of a group the fullest failure domain, host and volume have
// beyond their even share. All are zero for a group that is spread evenly.
type Skew struct {
	FailureDomains, Hosts, Volumes int
}

// Skew tells how unevenly the group of a request is spread over what its members may be
// on: hosts that take VMs, and their volumes, that meet what was asked for. Whether there
// is room is not asked.
func (p *Planner) Skew(req Request) Skew {
	a, err := p.ask(req)
	if err != nil || a.group < 0 {
		return Skew{}
	}
	p.countMembers(a.group, 1, "")
	defer p.countMembers(a.group, -1, "")
	var domains, hosts, volumes []int32
	seen := map[int32]bool{}
	reached := map[int32]bool{}
	for i := range p.hosts {
		h := &p.hosts[i]
		if !p.mayTake(a, h) {
			continue
		}
		hosts = append(hosts, p.onHost[i])
		reached[h.scope] = true
		if !seen[h.domain] {
			seen[h.domain] = true
			domains = append(domains, p.onDomain[h.domain])
		}
	}
	for i := range p.volumes {
		v := &p.volumes[i]
		if reached[v.scope] && v.fault == VolumeHealthy && volumeAskedFor.fits(p, &a.lead, v) {
			volumes = append(volumes, p.onVolume[i])
		}
	}
	return Skew{FailureDomains: beyondShare(domains), Hosts: beyondShare(hosts), Volumes: beyondShare(volumes)}
}

// mayTake tells whether a host may have members, whatever is left on it.
func (p *Planner) mayTake(a *ask, h *host) bool {
	if h.unschedulable != Schedulable {
		return false
	}
	for i := range staticFilters {
		if !hostFilters[i].fits(p, a, h) {
			return false
		}
	}
	return true
}

// beyondShare is what the largest of some counts has beyond the share that each would
// have if they were even.
func beyondShare(counts []int32) int {
	sum, most := 0, 0
	for _, n := range counts {
		sum += int(n)
		most = max(most, int(n))
	}
	if len(counts) == 0 {
		return 0
	}
	return most - (sum+len(counts)-1)/len(counts)
}
