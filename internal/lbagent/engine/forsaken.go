package engine

import (
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// longestSilence is how long a server may be silent before its connections end: nobody
// refuses, nothing is answered, checks time out. A switch that comes to know a port
// again, a machine that is moved to another host or too busy to answer, take less. Those
// who have lost their power answer nobody ever again, and clients would wait until their
// kernels give up, which takes minutes. A server's own machine is asked before that: a node
// may pass the checks of its node port on to another one, and connections to others still.
const longestSilence = 10 * time.Second

// forsaken remembers since when servers are silent.
type forsaken struct {
	since map[haproxy.ID]time.Time
}

// heard says that servers are none of those: the machines answer that they are on.
func (f *forsaken) heard(servers []haproxy.ID, now time.Time) {
	for _, id := range servers {
		if _, silent := f.since[id]; silent {
			f.since[id] = now
		}
	}
}

// overdue takes what is known of servers now, and returns those that have been silent for
// too long and still have connections. Where nobody of a backend is heard it is the
// network of this machine that is silent, as far as it can tell: then there are none.
func (f *forsaken) overdue(stats map[haproxy.ID]haproxy.ServerStat, now time.Time) []haproxy.ID {
	heard := map[string]bool{}
	since := map[haproxy.ID]time.Time{}
	for id, s := range stats {
		switch {
		case s.Silent:
			since[id] = now
			if began, known := f.since[id]; known {
				since[id] = began
			}
		case s.Health != lbapi.HealthUnknown:
			heard[id.Backend] = true
		}
	}
	f.since = since
	var overdue []haproxy.ID
	for id, began := range since {
		s := stats[id]
		if s.Health == lbapi.HealthDown && s.Sessions > 0 && heard[id.Backend] && now.Sub(began) >= longestSilence {
			overdue = append(overdue, id)
		}
	}
	slices.SortFunc(overdue, haproxy.ID.Compare)
	return overdue
}
