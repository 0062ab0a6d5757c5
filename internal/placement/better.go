package placement

import "slices"

// Improvement is a better place for a VM that has one.
type Improvement struct {
	Decision
	// Score names the point of view from which it is better.
	Score string
}

// worthMoving is by how much fuller than the best its volume must be for a worker to be
// made anew elsewhere, in shares of a volume.
const worthMoving = 0.1

// Better tells whether a VM that has a place would have a better one if it were placed
// today: where fewer of its group share its failure domain, host or volume, or for a
// worker where the volume is a good deal less full. What else would be nicer is not asked,
// since making a VM anew costs something, too. Nor is it a matter of evenness that a host
// or volume takes no VM any more: there is no improvement on one of those.
//
// While nothing else changes, improvements by group come to an end: each spreads the
// members more evenly over failure domains, hosts or volumes than before.
func (p *Planner) Better(req Request) (Improvement, bool) {
	own, ok := p.placed[req.VM]
	if !ok || own.host < 0 || len(own.disks) == 0 || own.disks[0].volume < 0 {
		return Improvement{}, false
	}
	a, err := p.ask(req)
	if err != nil {
		return Improvement{}, false
	}
	defer p.leaveOut(a)()
	p.work.filter(p, a)
	if !slices.Contains(p.work.hosts, own.host) || !slices.Contains(p.work.volumes, own.disks[0].volume) {
		return Improvement{}, false
	}
	by := ""
	decision, err := p.choose(a, nil, func(s *score, best float64) {
		switch {
		case s == nil:
			by = ""
		case by != "" || s.moves == nil || !s.moves(a):
		case s.host != nil && s.host(p, a, own.host) > best+s.movesBeyond:
			by = s.name
		case s.volume != nil && s.volume(p, a, own.disks[0].volume) > best+s.movesBeyond:
			by = s.name
		}
	})
	if err != nil || by == "" {
		return Improvement{}, false
	}
	return Improvement{Decision: decision, Score: by}, true
}

func always(*ask) bool { return true }

func ofWorkers(a *ask) bool { return !a.oneVolume }
