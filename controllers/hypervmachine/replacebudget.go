package hypervmachine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// member is a machine of a team as the team's budget sees it.
type member struct {
	name    string
	created time.Time
	// ready tells that it does its work, and down that it is known not to. Of one that is
	// neither nobody can tell: its host may be silent, or its cluster.
	ready, down bool
	// goes tells that it is being deleted, or that Cluster API is asked to replace it. Of the
	// one that is judged the latter is asked instead: it may still be taken back.
	goes, asked bool
	// wanted tells that it is to be replaced.
	wanted bool
}

// team is the machines that stand in for each other: those of a pool, or of a control
// plane.
type team struct {
	members []member
	// replicas is how many there shall be.
	replicas int
	// unavailable is how many of a pool may be missing.
	unavailable int
	// quorum tells that they are members of etcd.
	quorum bool
}

// hurdle is why a machine is not replaced now.
type hurdle struct {
	// forGood tells that waiting does not help.
	forGood bool
	// noRoom tells that there is no place for another machine, and held that all repair is
	// held.
	noRoom, held bool
	message      string
}

// hurdleOf says what keeps a machine from being replaced now, or nil. All machines of
// a team that ask at the same time get answers that fit together: they come one after
// the other in an order that is the same for all.
func (t *team) hurdleOf(name string) *hurdle {
	if t.quorum {
		return t.hurdleOfMember(name)
	}
	free := max(t.unavailable, 1) - max(t.replicas-t.standing(), 0)
	for _, m := range t.queue() {
		switch {
		case m.name == name && (m.down || free > 0):
			return nil
		case m.name == name:
			return &hurdle{message: t.tellBudget()}
		case !m.down:
			free--
		}
	}
	return &hurdle{message: "it goes already"}
}

// hurdleOfMember is for a control plane: one at a time, and only while all others are
// well, so that etcd keeps its majority though one of them should fail meanwhile.
func (t *team) hurdleOfMember(name string) *hurdle {
	if t.replicas <= 1 {
		return &hurdle{forGood: true, message: "it is the only member of its control plane, and etcd's data is on it alone: have three members, or roll the control plane out, which makes the new member first"}
	}
	var others []string
	present := 0
	for _, m := range t.members {
		if !m.goes {
			present++
		}
		switch {
		case m.name == name:
		case m.goes:
			others = append(others, m.name+" to go")
		case !m.ready:
			others = append(others, m.name+" to be ready")
		}
	}
	switch {
	case len(others) > 0:
		return &hurdle{message: "of a control plane one member at a time is replaced, while all others are ready: waiting for " + listed(others)}
	case present != t.replicas:
		return &hurdle{message: fmt.Sprintf("of a control plane one member at a time is replaced, while all others are there: there are %d of %d", present, t.replicas)}
	case present-1 < t.replicas/2+1:
		return &hurdle{forGood: true, message: fmt.Sprintf("without it etcd would have %d of %d members, which is no majority: have three members", present-1, t.replicas)}
	}
	if first := t.queue(); len(first) > 0 && first[0].name != name {
		return &hurdle{message: "of a control plane one member at a time is replaced: " + first[0].name + " comes first"}
	}
	return nil
}

// standing is how many are there to stay and do their work.
func (t *team) standing() (n int) {
	for _, m := range t.members {
		if m.ready && !m.goes {
			n++
		}
	}
	return n
}

// queue is those that are to be replaced and may still be told to wait: first who is asked
// for, then those that do no work as far as anybody knows, then the oldest.
func (t *team) queue() []member {
	queue := slices.DeleteFunc(slices.Clone(t.members), func(m member) bool { return !m.wanted || m.goes })
	slices.SortFunc(queue, func(a, b member) int {
		return cmp.Or(first(a.asked, b.asked), first(b.ready, a.ready), a.created.Compare(b.created), strings.Compare(a.name, b.name))
	})
	return queue
}

// first compares who is to come first where only one of two is.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (t *team) tellBudget() string {
	var missing []string
	for _, m := range t.members {
		switch {
		case m.goes:
			missing = append(missing, m.name+" to go")
		case !m.ready:
			missing = append(missing, m.name+" to be ready")
		}
	}
	limit := fmt.Sprintf("of its pool %d of %d machines may be missing", max(t.unavailable, 1), t.replicas)
	if len(missing) == 0 {
		return limit + ": others come first"
	}
	return limit + ": waiting for " + listed(missing)
}

// mostListed is how many machines a message names.
const mostListed = 3

func listed(names []string) string {
	slices.Sort(names)
	list := strings.Join(names[:min(mostListed, len(names))], ", ")
	if more := len(names) - mostListed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}
