package placement

// countSpare works out for each failover cluster what of its memory may be given
// out.
//
// While all hosts are there, as much stays free as the largest of them can have in
// use: then the VMs of any one host can start on the others, as far as sums tell.
// Once a host is away, that is what the reserve was for: only what its own VMs need
// is kept, or a dead host would hold up the repair of what died with it. For a host
// that is lost or drained nothing is kept, since its VMs are made anew.
func (p *Planner) countSpare() {
	for i := range p.scopes {
		if s := &p.scopes[i]; s.failover {
			s.spare = p.free(s) - p.kept(s)
		}
	}
}

func (p *Planner) free(s *scope) (sum int64) {
	for _, x := range s.hosts {
		if h := &p.hosts[x]; h.unschedulable == Schedulable {
			sum += max(h.freeMemory(), 0)
		}
	}
	return sum
}

func (p *Planner) kept(s *scope) int64 {
	if p.policy.NoSpareHost || len(s.hosts) < 2 {
		return 0
	}
	var largest, ofAway int64
	away := false
	for _, x := range s.hosts {
		h := &p.hosts[x]
		switch h.unschedulable {
		case Schedulable:
			largest = max(largest, h.usable)
		case HostLost, HostDrains:
			away = true
		default:
			away = true
			ofAway += max(h.usable-max(h.freeMemory(), 0), 0)
		}
	}
	if away {
		return ofAway
	}
	return largest
}
