package hypervmachine

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"
)

// one is a machine that does its work, the younger the later its name.
func one(name string, with ...func(*member)) member {
	m := member{name: name, ready: true, created: time.Unix(int64(name[0]), 0)}
	for _, f := range with {
		f(&m)
	}
	return m
}

func wanted(m *member)   { m.wanted = true }
func notReady(m *member) { m.ready, m.down = false, true }
func unknown(m *member)  { m.ready = false }
func goes(m *member)     { m.goes = true }
func asked(m *member)    { m.asked = true }

func TestMachinesAreReplacedWithinTheBudgetOfTheirPool(t *testing.T) {
	for name, tc := range map[string]struct {
		team team
		// turn are those that may be replaced now, and says what the first of the others is told.
		turn []string
		says string
	}{
		"one at a time where none may be missing": {
			team: team{replicas: 3, members: []member{one("a", wanted), one("b", wanted), one("c", wanted)}},
			turn: []string{"a"}, says: "of its pool 1 of 3 machines may be missing: others come first",
		},
		"as many as may be missing": {
			team: team{replicas: 4, unavailable: 2, members: []member{one("a", wanted), one("b"), one("c", wanted), one("d", wanted)}},
			turn: []string{"a", "c"}, says: "of its pool 2 of 4 machines may be missing: others come first",
		},
		"none while one goes": {
			team: team{replicas: 3, members: []member{one("a", wanted, goes), one("b", wanted), one("c")}},
			says: "of its pool 1 of 3 machines may be missing: waiting for a to go",
		},
		"none until the successor is ready": {
			team: team{replicas: 3, members: []member{one("b", wanted), one("c"), one("d", notReady)}},
			says: "of its pool 1 of 3 machines may be missing: waiting for d to be ready",
		},
		"none while the successor is not made yet": {
			team: team{replicas: 3, members: []member{one("b", wanted), one("c")}},
			says: "of its pool 1 of 3 machines may be missing: others come first",
		},
		"what does no work costs nothing": {
			team: team{replicas: 3, members: []member{one("a", wanted), one("b", wanted, notReady), one("c", wanted, notReady)}},
			turn: []string{"b", "c"}, says: "of its pool 1 of 3 machines may be missing: waiting for b to be ready, c to be ready",
		},
		"none of which nobody knows whether they work": {
			team: team{replicas: 3, members: []member{one("a", wanted, unknown), one("b", wanted, unknown), one("c", unknown)}},
			says: "of its pool 1 of 3 machines may be missing: waiting for a to be ready, b to be ready, c to be ready",
		},
		"another roll-out's surge is no budget": {
			team: team{replicas: 2, members: []member{one("a", wanted), one("b", wanted), one("c")}},
			turn: []string{"a"}, says: "of its pool 1 of 2 machines may be missing: others come first",
		},
		"the only one": {
			team: team{replicas: 1, members: []member{one("a", wanted)}},
			turn: []string{"a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var turn []string
			says := ""
			for _, m := range tc.team.members {
				if !m.wanted || m.goes {
					continue
				}
				h := tc.team.hurdleOf(m.name)
				switch {
				case h == nil:
					turn = append(turn, m.name)
				case says == "":
					says = h.message
					g.Expect(h.forGood).To(BeFalse())
				}
			}
			g.Expect(turn).To(Equal(tc.turn))
			g.Expect(says).To(Equal(tc.says))
		})
	}
}

func TestAMemberOfAControlPlaneIsReplacedWhileAllOthersAreWell(t *testing.T) {
	for name, tc := range map[string]struct {
		replicas int
		members  []member
		says     string
		forGood  bool
	}{
		"all are well":                           {replicas: 3, members: []member{one("a", wanted), one("b"), one("c")}},
		"it is the one that is not":              {replicas: 3, members: []member{one("a", wanted, notReady), one("b"), one("c")}},
		"another is not":                         {replicas: 3, members: []member{one("a", wanted), one("b", notReady), one("c")}, says: "waiting for b to be ready"},
		"another goes":                           {replicas: 3, members: []member{one("a", wanted), one("b", goes), one("c")}, says: "waiting for b to go"},
		"another is missing":                     {replicas: 3, members: []member{one("a", wanted), one("b")}, says: "there are 2 of 3"},
		"one is there beyond those":              {replicas: 3, members: []member{one("a", wanted), one("b"), one("c"), one("d")}, says: "there are 4 of 3"},
		"an older one wants it, too":             {replicas: 3, members: []member{one("A", wanted), one("a", wanted), one("b")}, says: "A comes first"},
		"a younger one wants it, too":            {replicas: 3, members: []member{one("a", wanted), one("b", wanted), one("c")}},
		"it is asked for, as before":             {replicas: 3, members: []member{one("a", wanted, asked, notReady), one("b", wanted), one("c")}},
		"it is asked for before an older one":    {replicas: 3, members: []member{one("A", wanted), one("a", wanted, asked), one("b")}},
		"it is asked for, and another fails":     {replicas: 3, members: []member{one("a", wanted, asked), one("b", notReady), one("c")}, says: "waiting for b to be ready"},
		"it is asked for, and nobody knows of b": {replicas: 3, members: []member{one("a", wanted, asked), one("b", unknown), one("c")}, says: "waiting for b to be ready"},
		"it is asked for, and another goes":      {replicas: 3, members: []member{one("a", wanted, asked), one("b", goes), one("c")}, says: "waiting for b to go"},
		"it is the only one":                     {replicas: 1, members: []member{one("a", wanted)}, says: "the only member", forGood: true},
		"the other has no majority":              {replicas: 2, members: []member{one("a", wanted), one("b")}, says: "1 of 2 members, which is no majority", forGood: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := (&team{quorum: true, replicas: tc.replicas, members: tc.members}).hurdleOf("a")
			if tc.says == "" {
				g.Expect(h).To(BeNil())
				return
			}
			g.Expect(h).NotTo(BeNil())
			g.Expect(h.message).To(ContainSubstring(tc.says))
			g.Expect(h.forGood).To(Equal(tc.forGood))
		})
	}
}

// TestNobodyIsMissedBeyondTheBudgetAndAllGoInTheEnd plays replacements through: whoever has
// no hurdle is asked for, asked ones vanish and successors come in any order.
func TestNobodyIsMissedBeyondTheBudgetAndAllGoInTheEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := NewWithT(rt)
		quorum := rapid.Bool().Draw(rt, "control plane")
		replicas := rapid.IntRange(1, 6).Draw(rt, "replicas")
		if quorum {
			replicas = rapid.SampledFrom([]int{3, 5, 7}).Draw(rt, "members")
		}
		tm := &team{quorum: quorum, replicas: replicas, unavailable: rapid.IntRange(0, replicas).Draw(rt, "unavailable")}
		least, left := replicas-max(tm.unavailable, 1), 0
		if quorum {
			least = replicas - 1
		}
		for i := range replicas {
			m := one(fmt.Sprintf("%c", 'a'+i))
			m.wanted = rapid.Bool().Draw(rt, "wanted")
			if m.wanted {
				left++
			}
			tm.members = append(tm.members, m)
		}
		made := 0
		for step := 0; left > 0; step++ {
			g.Expect(step).To(BeNumerically("<", 200), "it must come to an end")
			// For a while some sleep, and then everybody looks.
			fair := step > 50
			for i := range tm.members {
				if m := &tm.members[i]; m.wanted && !m.goes && (fair || rapid.Bool().Draw(rt, "looks")) && tm.hurdleOf(m.name) == nil {
					m.goes = true
				}
			}
			g.Expect(tm.standing()).To(BeNumerically(">=", least))
			at := step % len(tm.members)
			if !fair {
				at = rapid.IntRange(0, len(tm.members)-1).Draw(rt, "who")
			}
			switch m := &tm.members[at]; {
			case m.goes:
				left--
				made++
				tm.members[at] = one(fmt.Sprintf("z%d", made), notReady)
			default:
				m.ready = true
			}
		}
	})
}
