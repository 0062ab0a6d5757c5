package placement

import "slices"

// Place decides on one VM and tells why. The error is always an *Unplaceable.
func Place(req Request, snap Snapshot) (Decision, error) {
	return NewPlanner(snap).Explain(req)
}

// Place decides on one VM. It does not count the decision as taken: that is for
// Add. The error is always an *Unplaceable.
func (p *Planner) Place(req Request) (Decision, error) {
	return p.place(req, nil)
}

// Explain is Place with a trace in the decision or the error. It takes longer.
func (p *Planner) Explain(req Request) (Decision, error) {
	return p.place(req, &Trace{})
}

func (p *Planner) place(req Request, tr *Trace) (Decision, error) {
	a, err := p.ask(req)
	if err != nil {
		return Decision{}, err
	}
	defer p.leaveOut(a)()
	return p.choose(a, tr, func(*score, float64) {})
}

// leaveOut counts the members of the group at hand, and nothing of the VM's own placement,
// until what it returns is called.
func (p *Planner) leaveOut(a *ask) (restore func()) {
	own, placed := p.placed[a.VM]
	if placed {
		p.count(own, -1)
	}
	a.meanBytes = float64(p.bytes+a.lead.bytes) / float64(p.disks+a.lead.disks)
	a.company = p.countMembers(a.group, 1, a.VM)
	p.countSpare()
	return func() {
		p.countMembers(a.group, -1, a.VM)
		if placed {
			p.count(own, 1)
		}
	}
}

// choose filters and scores until there is a place for all disks. It tells visit of each
// score and the best there is by it, and of nil when it begins anew.
func (p *Planner) choose(a *ask, tr *Trace, visit func(s *score, best float64)) (Decision, error) {
	for {
		visit(nil, 0)
		p.work.filter(p, a)
		if tr != nil {
			tr.Hosts, tr.Scores = p.verdicts(a), nil
		}
		if p.work.empty() {
			return Decision{}, p.unplaceable(a, tr)
		}
		for _, s := range scoresFor(a.Role) {
			if tr == nil && s.idle != nil && s.idle(p, a) {
				continue
			}
			best := p.work.narrow(p, a, s)
			visit(s, best)
			if tr != nil {
				tr.Scores = append(tr.Scores, p.step(s, best))
			}
		}
		// What the scores cannot tell apart is decided by name: the lists are in the
		// order of names.
		lead := p.work.volumes[0]
		within := p.volumes[lead].scope
		at := slices.IndexFunc(p.work.hosts, func(h int32) bool { return p.hosts[h].scope == within })
		disks, ok := p.spread(a, lead)
		if !ok {
			a.excluded = append(a.excluded, within)
			continue
		}
		h := &p.hosts[p.work.hosts[at]]
		return Decision{VM: a.VM, Host: h.name, FailureDomain: p.domains[h.domain], Disks: disks, Trace: tr}, nil
	}
}
