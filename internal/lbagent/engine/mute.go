package engine

import (
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// unchecked is how long ago the last good check of a server may have been when the first
// one is seen that it did not answer.
const unchecked = 5 * time.Second

// mute remembers since when servers accept connections and answer none, as one that was
// started and does not serve yet. It is found out after a few checks, and whoever was sent
// there meanwhile would wait for as long as it takes: he is better off with another one.
type mute struct {
	since map[haproxy.ID]time.Time
	// freed are those whose connections that were never answered have ended.
	freed map[haproxy.ID]bool
}

// found takes what is known of servers now, and returns those that have been found to be
// mute, whose connections are to be looked at, and for how long they may have been. Where
// no other server is up, there is nobody to be better off with.
func (m *mute) found(stats map[haproxy.ID]haproxy.ServerStat, now time.Time) (servers []haproxy.ID, within time.Duration) {
	up := map[string]bool{}
	since, freed := map[haproxy.ID]time.Time{}, map[haproxy.ID]bool{}
	for id, s := range stats {
		if s.Health == lbapi.HealthUp && !s.Mute {
			up[id.Backend] = true
		}
		if s.Mute {
			since[id], freed[id] = now, m.freed[id]
			if began, known := m.since[id]; known {
				since[id] = began
			}
		}
	}
	m.since, m.freed = since, freed
	for id, began := range since {
		if s := stats[id]; s.Health == lbapi.HealthDown && s.Sessions > 0 && up[id.Backend] && !freed[id] {
			servers, within = append(servers, id), max(within, now.Sub(began)+unchecked)
		}
	}
	slices.SortFunc(servers, haproxy.ID.Compare)
	return servers, within
}

// remember says that nobody waits for these servers any more, and forget that it is not
// known.
func (m *mute) remember(servers []haproxy.ID) {
	for _, id := range servers {
		m.freed[id] = true
	}
}

func (m *mute) forget(servers []haproxy.ID) {
	for _, id := range servers {
		delete(m.freed, id)
	}
}
