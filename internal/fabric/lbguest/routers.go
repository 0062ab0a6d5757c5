package lbguest

import (
	"sync"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// routers are a guest's parts in the virtual routers of its plan.
type routers struct {
	segment *Segment
	notify  func()

	mu      sync.Mutex
	members map[LinkID]*Member
}

func newRouters(segment *Segment, notify func()) *routers {
	return &routers{segment: segment, notify: notify, members: map[LinkID]*Member{}}
}

// replace takes part in the routers of the plan, and resigns from others.
func (r *routers) replace(plan lbapi.Plan) {
	station := Station{}
	for _, p := range plan.Peers {
		if p.Name == plan.Self {
			station.Address, station.Priority = p.Address, p.Priority
		} else {
			station.Peers = append(station.Peers, p.Address)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	members := map[LinkID]*Member{}
	for _, v := range plan.VIPs {
		id := LinkID{Network: v.Network, VRID: v.VRID}
		switch {
		case members[id] != nil:
		case r.members[id] != nil:
			members[id] = r.members[id]
			members[id].Update(station)
		default:
			members[id] = r.segment.Join(id, station, r.notify)
		}
	}
	for id, m := range r.members {
		if members[id] == nil {
			m.Resign()
		}
	}
	r.members = members
}

// role is the guest's for a VIP of the plan.
func (r *routers) role(v lbapi.VIP) lbapi.Role {
	r.mu.Lock()
	m := r.members[LinkID{Network: v.Network, VRID: v.VRID}]
	r.mu.Unlock()
	if m == nil {
		return lbapi.RoleStandby
	}
	return m.Role()
}

// leave takes part in nothing any more, as when the power goes.
func (r *routers) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		m.Leave()
	}
	r.members = map[LinkID]*Member{}
}
