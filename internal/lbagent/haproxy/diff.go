package haproxy

import "slices"

// Action is what is done to a server through the runtime API.
type Action string

// Actions, in the order in which they are done: what comes is there before what
// goes has gone.
const (
	// Add makes a server.
	Add Action = "Add"
	// Move gives a server another port at its address. It keeps the connections that it
	// has: whoever answers them is still there.
	Move Action = "Move"
	// Enable takes a server out of maintenance, in which an earlier change left it.
	Enable Action = "Enable"
	// Weigh gives a server its weight.
	Weigh Action = "Weigh"
	// Remove drains a server, waits for a moment, ends what is left of its
	// connections and deletes it.
	Remove Action = "Remove"
)

// Step is one action on one server.
type Step struct {
	Action Action
	Server Server
}

// checkedAs tells whether the check of what runs is the server's own: what it found is
// as true of a server that is checked at a port apart and has another one for clients.
func (s Server) checkedAs(r Running) bool {
	return r.ID == s.ID && (r.Address == s.Address || s.CheckPort != 0 && r.Address.Addr() == s.Address.Addr())
}

// byID finds what runs. There may be tens of thousands.
func byID(running []Running) map[ID]Running {
	found := make(map[ID]Running, len(running))
	for _, r := range running {
		found[r.ID] = r
	}
	return found
}

func idsOf(servers []Server) map[ID]bool {
	ids := make(map[ID]bool, len(servers))
	for _, s := range servers {
		ids[s.ID] = true
	}
	return ids
}

// Diff returns the steps from what runs to what shall be.
func Diff(running []Running, next []Server) []Step {
	var add, move, enable, weigh, remove []Step
	now, stays := byID(running), idsOf(next)
	for _, r := range running {
		if !stays[r.ID] {
			remove = append(remove, Step{Remove, Server{ID: r.ID, Address: r.Address}})
		}
	}
	for _, s := range next {
		r, ok := now[s.ID]
		if !ok {
			add = append(add, Step{Add, s})
			continue
		}
		if r.Address != s.Address {
			moved := s
			moved.Doubtful = s.Doubtful && !s.checkedAs(r)
			move = append(move, Step{Move, moved})
		}
		if r.Maintenance {
			enable = append(enable, Step{Enable, s})
		}
		if r.Weight != s.Weight {
			weigh = append(weigh, Step{Weigh, s})
		}
	}
	// Weights that rise come before those that fall, lest all are 0 in between.
	slices.SortStableFunc(weigh, func(a, b Step) int { return b.Server.Weight - a.Server.Weight })
	return slices.Concat(add, move, enable, weigh, remove)
}
