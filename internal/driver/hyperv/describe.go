package hyperv

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// describe is what is there, in the words of hostapi.
func (d *Driver) describe(ctx context.Context, op string, p *parts) (hostapi.VM, error) {
	out := hostapi.VM{Stamp: p.stamp(), State: hostapi.StatePartial, Heartbeat: hostapi.HeartbeatUnknown, Disks: p.disks()}
	for _, f := range p.folders {
		out.SeedAttached = out.SeedAttached || (f.record != nil && f.entry(seedName) != nil)
	}
	if len(p.held) > 0 {
		out.Host = p.held[0].Node
	}
	if p.lost != "" {
		out.Host, out.State, out.Heartbeat = p.lost, hostapi.StateFailed, hostapi.HeartbeatLost
		return out, nil
	}
	if p.moving {
		out.Host, out.State = p.role.owner, hostapi.StateStarting
		return out, nil
	}
	m := p.machine()
	if m == nil {
		return out, nil
	}
	out.Name, out.Owner, out.Host, out.State = m.notes.Name, m.notes.Owner, m.node.name, m.state()
	_, processors := m.quantity(classProcessor)
	_, memory := m.quantity(classMemory)
	out.Processors, out.MemoryMiB = int32(processors), memory
	_, dvd := m.dvd()
	out.SeedAttached = out.SeedAttached || base(dvd) == seedName
	if p.faulted() != nil && out.State != hostapi.StatePartial {
		out.State = hostapi.StateFailed
	}
	for _, port := range m.ports() {
		out.NICs = append(out.NICs, hostapi.NICStatus{MAC: port.mac})
	}
	p.order(m, out.NICs)
	if m.off() {
		return out, nil
	}
	var err error
	if out.Heartbeat, err = m.heartbeat(ctx); err != nil {
		return out, typed(op, "", "read the heartbeat of VM "+string(p.id), err)
	}
	// Key-value exchange does not tell which address is which NIC's.
	if len(out.NICs) == 1 {
		if out.NICs[0].Addresses, err = m.addresses(ctx); err != nil {
			return out, typed(op, "", "read the addresses of VM "+string(p.id), err)
		}
	}
	return out, nil
}

// order puts NICs as the VM was made.
func (p *parts) order(m *machine, nics []hostapi.NICStatus) {
	place := func(n hostapi.NICStatus) int {
		return slices.IndexFunc(m.notes.NICs, func(want hostapi.NIC) bool { return want.MAC == n.MAC })
	}
	slices.SortStableFunc(nics, func(a, b hostapi.NICStatus) int { return cmp.Compare(place(a), place(b)) })
}

// disks are the VM's disks in order, with those that are attached and whose volume cannot be read.
func (p *parts) disks() []hostapi.DiskStatus {
	var out []hostapi.DiskStatus
	for _, f := range p.folders {
		if f.record == nil {
			continue
		}
		for _, e := range f.entries {
			name, ok := strings.CutSuffix(e.Name, diskSuffix)
			if !ok {
				continue
			}
			out = append(out, hostapi.DiskStatus{
				Name: name, Volume: f.volume.name, Path: f.volume.disk(p.id, name), Bytes: f.record.Disks[name].Bytes, FileBytes: e.Bytes,
			})
		}
	}
	m := p.machine()
	if m == nil {
		return out
	}
	for _, path := range m.attached() {
		i := slices.IndexFunc(p.places, func(v volume) bool { return v.contains(path) })
		if i < 0 || slices.ContainsFunc(out, func(s hostapi.DiskStatus) bool { return samePath(s.Path, path) }) {
			continue
		}
		out = append(out, hostapi.DiskStatus{Name: strings.TrimSuffix(base(path), diskSuffix), Volume: p.places[i].name, Path: path})
	}
	place := func(s hostapi.DiskStatus) int {
		i := slices.IndexFunc(m.notes.Disks, func(path string) bool { return samePath(path, s.Path) })
		if i < 0 {
			return len(m.notes.Disks)
		}
		return i
	}
	slices.SortStableFunc(out, func(a, b hostapi.DiskStatus) int { return cmp.Compare(place(a), place(b)) })
	return out
}

// component returns one of the machine's integration services.
func (m *machine) component(ctx context.Context, class string, properties ...string) (wmi.Instance, bool, error) {
	found, err := m.node.Related(ctx, m.system.Path, wmi.Association{Through: "Msvm_SystemDevice", Class: class, Properties: properties})
	if err != nil || len(found) == 0 {
		return wmi.Instance{}, false, err
	}
	return found[0], true, nil
}

// Heartbeats, by the first of Msvm_HeartbeatComponent.OperationalStatus.
const (
	heartbeatOK       = 2
	heartbeatDegraded = 3
	heartbeatLost     = 13
)

func (m *machine) heartbeat(ctx context.Context) (hostapi.Heartbeat, error) {
	c, ok, err := m.component(ctx, "Msvm_HeartbeatComponent", "OperationalStatus")
	if err != nil || !ok {
		return hostapi.HeartbeatUnknown, err
	}
	status := c.Values.Numbers("OperationalStatus")
	if len(status) == 0 {
		return hostapi.HeartbeatUnknown, nil
	}
	switch status[0] {
	case heartbeatOK, heartbeatDegraded:
		return hostapi.HeartbeatOK, nil
	case heartbeatLost:
		return hostapi.HeartbeatLost, nil
	default:
		// A guest that was not heard yet.
		return hostapi.HeartbeatUnknown, nil
	}
}
