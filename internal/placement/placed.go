package placement

import "slices"

// Add counts a decision as taken, so that the next VM is placed in sight of it.
func (p *Planner) Add(req Request, d Decision) {
	at, ok := p.hostByName[d.Host]
	if !ok {
		at = -1
	}
	pl := &placed{
		host:       at,
		group:      p.group(req.Group),
		processors: int64(req.Processors),
		memory:     bounded(req.MemoryMiB),
		inFlight:   true,
	}
	for i, disk := range d.Disks {
		pd := placedDisk{volume: p.volumeOf(at, disk.Volume), bytes: bounded(disk.Bytes), image: -1}
		if disk.StageImage && i < len(req.Disks) && req.Disks[i].Image != nil {
			pd.image = p.images.number(req.Disks[i].Image.SHA256)
			pd.staging = bounded(req.Disks[i].Image.Bytes)
		}
		pl.disks = append(pl.disks, pd)
	}
	p.put(req.VM, pl)
}

// Remove takes a VM's placement back. A VM that has none is no error. Images
// that were to be staged for it stay counted, since the staging goes on.
func (p *Planner) Remove(vm string) {
	pl, ok := p.placed[vm]
	if !ok {
		return
	}
	delete(p.placed, vm)
	if pl.group >= 0 {
		p.members[pl.group] = slices.DeleteFunc(p.members[pl.group], func(m string) bool { return m == vm })
	}
	p.count(pl, -1)
}

func (p *Planner) addPlacement(in *Placement) {
	at, ok := p.hostByName[in.Host]
	if !ok {
		at = -1
	}
	pl := &placed{
		host:       at,
		group:      p.group(in.Group),
		processors: int64(max(in.Processors, 0)),
		memory:     bounded(in.MemoryMiB),
		inFlight:   in.InFlight,
	}
	for _, d := range in.Disks {
		pl.disks = append(pl.disks, placedDisk{volume: p.volumeOf(at, d.Volume), bytes: bounded(d.Bytes), image: -1})
	}
	p.put(in.VM, pl)
}

func (p *Planner) put(vm string, pl *placed) {
	p.Remove(vm)
	p.placed[vm] = pl
	if pl.group >= 0 {
		p.members[pl.group] = append(p.members[pl.group], vm)
	}
	p.count(pl, 1)
	for _, d := range pl.disks {
		if d.volume >= 0 && d.image >= 0 && !slices.Contains(p.volumes[d.volume].images, d.image) {
			v := &p.volumes[d.volume]
			v.images = append(v.images, d.image)
			v.provisioned += d.staging
			v.free -= d.staging
		}
	}
}

// count adds a placement's use of host and volumes, or takes it off.
func (p *Planner) count(pl *placed, sign int64) {
	if pl.host >= 0 {
		h := &p.hosts[pl.host]
		h.usedProcessors += sign * pl.processors
		h.unplaced -= sign * pl.memory
		if pl.inFlight {
			h.unreported -= sign * pl.memory
		}
	}
	for _, d := range pl.disks {
		if d.volume < 0 {
			continue
		}
		v := &p.volumes[d.volume]
		v.disks += sign
		v.ours += sign * d.bytes
		p.scopes[v.scope].disks += sign
		p.disks += sign
		p.bytes += sign * d.bytes
		if pl.inFlight {
			v.provisioned += sign * d.bytes
		}
	}
}

// countMembers tells where the members of a group are, or forgets it again, and
// whether there are any.
func (p *Planner) countMembers(group int32, sign int32, except string) (company bool) {
	if group < 0 {
		return false
	}
	for _, vm := range p.members[group] {
		if vm == except {
			continue
		}
		company = true
		pl := p.placed[vm]
		if pl.host >= 0 {
			p.onHost[pl.host] += sign
			p.onDomain[p.hosts[pl.host].domain] += sign
		}
		for i, d := range pl.disks {
			seen := slices.ContainsFunc(pl.disks[:i], func(o placedDisk) bool { return o.volume == d.volume })
			if d.volume >= 0 && !seen {
				p.onVolume[d.volume] += sign
			}
		}
	}
	return company
}

func (p *Planner) group(name string) int32 {
	if name == "" {
		return -1
	}
	g := p.groups.number(name)
	if int(g) == len(p.members) {
		p.members = append(p.members, nil)
	}
	return g
}

func (p *Planner) volumeOf(host int32, name string) int32 {
	if host < 0 {
		return -1
	}
	if v, ok := p.volumeByName[volumeKey{p.hosts[host].scope, name}]; ok {
		return v
	}
	return -1
}
