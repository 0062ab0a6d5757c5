package lbguest

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// advertInterval is the pace of VRRP adverts. A peer that hears none for three of
// them and its skew takes the VIPs: 0.60 to 0.70 s after the last, as measured.
const advertInterval = 200 * time.Millisecond

// LinkID names a virtual router: all VIPs of one network that move together.
type LinkID struct {
	Network string
	VRID    int32
}

// Station is a guest as its neighbours on the segment know it.
type Station struct {
	Address  string
	Priority int32
	// Peers are the addresses that it sends its adverts to. A guest that is not
	// among them hears nothing, and believes that it is alone.
	Peers []string
}

// Segment is the network on which load-balancer guests elect who holds a VIP: VRRP
// with unicast peers and no preemption. It is safe for concurrent use.
type Segment struct {
	clock clock.WithDelayedExecution

	mu      sync.Mutex
	routers map[LinkID][]*Member
	// present counts the guests that have power, by their addresses.
	present map[string]int
}

// NewSegment returns a segment without guests.
func NewSegment(c clock.WithDelayedExecution) *Segment {
	return &Segment{clock: c, routers: map[LinkID][]*Member{}, present: map[string]int{}}
}

// Member is a guest's part in one virtual router.
type Member struct {
	segment *Segment
	id      LinkID
	notify  func()

	// Guarded by segment.mu.
	station Station
	active  bool
	gone    bool
	silence clock.Timer
	// wait tells timers apart: one that was stopped too late finds another number.
	wait int
}

// Join takes part in a virtual router as standby. notify is called whenever the
// role may have changed, and must not block.
func (s *Segment) Join(id LinkID, station Station, notify func()) *Member {
	m := &Member{segment: s, id: id, notify: notify, station: station}
	s.change(id, func() { s.routers[id] = append(s.routers[id], m) })
	return m
}

// Update changes what the neighbours know, and not the role.
func (m *Member) Update(station Station) {
	m.segment.change(m.id, func() { m.station = station })
}

// Leave takes no part any more. Neighbours notice as they would that a machine has
// lost its power: by hearing nothing.
func (m *Member) Leave() {
	s := m.segment
	s.change(m.id, func() {
		m.gone, m.active = true, false
		m.disarm()
		s.routers[m.id] = slices.DeleteFunc(s.routers[m.id], func(other *Member) bool { return other == m })
	})
}

// Resign takes no part any more, and says so: the best of the neighbours that hear it
// takes the VIPs at once. On a network that is the skew of the best one, some 50 ms in
// which whoever connects is not answered and tries again; here he would be refused.
func (m *Member) Resign() {
	s := m.segment
	s.change(m.id, func() {
		if m.active {
			if best := m.heir(); best != nil {
				best.disarm()
				best.active = true
			}
		}
		m.gone, m.active = true, false
		m.disarm()
		s.routers[m.id] = slices.DeleteFunc(s.routers[m.id], func(other *Member) bool { return other == m })
	})
}

// heir is the best of those that hear the member, or nil. The segment is locked.
func (m *Member) heir() *Member {
	var best *Member
	for _, other := range m.segment.routers[m.id] {
		if other != m && slices.Contains(m.station.Peers, other.station.Address) && (best == nil || best.yieldsTo(other)) {
			best = other
		}
	}
	return best
}

// Role returns the member's role.
func (m *Member) Role() lbapi.Role {
	m.segment.mu.Lock()
	defer m.segment.mu.Unlock()
	if m.active {
		return lbapi.RoleActive
	}
	return lbapi.RoleStandby
}

// change does something to a router, lets its members draw their conclusions, and
// tells them.
func (s *Segment) change(id LinkID, do func()) {
	s.mu.Lock()
	do()
	members := slices.Clone(s.routers[id])
	if len(members) == 0 {
		delete(s.routers, id)
	}
	for _, m := range members {
		m.listen(members)
	}
	s.mu.Unlock()
	for _, m := range members {
		m.notify()
	}
}

// listen is what a member makes of the adverts that reach it now.
func (m *Member) listen(members []*Member) {
	heard := false
	for _, other := range members {
		if other == m || !other.active || !slices.Contains(other.station.Peers, m.station.Address) {
			continue
		}
		heard = true
		// Two that both hold the VIP: the lesser one gives way, as VRRP has it.
		if m.active && m.yieldsTo(other) {
			m.active = false
		}
	}
	switch {
	case m.active || heard:
		m.disarm()
	case m.silence == nil:
		m.arm()
	}
}

func (m *Member) yieldsTo(other *Member) bool {
	a, _ := netip.ParseAddr(m.station.Address)
	b, _ := netip.ParseAddr(other.station.Address)
	return cmp.Or(cmp.Compare(m.station.Priority, other.station.Priority), a.Compare(b)) < 0
}

// TakeoverTime is for how long a guest must hear nothing before it takes the VIPs.
// It is the shorter, the higher the priority: so the best one comes first.
func TakeoverTime(priority int32) time.Duration {
	return 3*advertInterval + advertInterval*time.Duration(256-priority)/256
}

// arm begins to wait for an advert.
func (m *Member) arm() {
	m.wait++
	wait := m.wait
	m.silence = m.segment.clock.AfterFunc(TakeoverTime(m.station.Priority), func() {
		// On its own, because a clock may call while it is locked.
		go m.segment.change(m.id, func() {
			if m.wait == wait && m.silence != nil && !m.gone {
				m.silence, m.active = nil, true
			}
		})
	})
}

func (m *Member) disarm() {
	if m.silence != nil {
		m.silence.Stop()
		m.silence = nil
	}
}
