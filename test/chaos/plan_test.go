package main

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"
)

func drawn(p *plan, count int) []moment {
	var all []moment
	for range count {
		all = append(all, p.next())
	}
	return all
}

func TestASeedMeansTheSameFaultsWhereverItRuns(t *testing.T) {
	g := NewWithT(t)
	kinds := []string{"a", "b", "c", "a"}
	first := drawn(newPlan(7, kinds), 500)
	g.Expect(drawn(newPlan(7, kinds), 500)).To(Equal(first))
	g.Expect(drawn(newPlan(8, kinds), 500)).NotTo(Equal(first))
}

func TestEveryKindComesAsOftenAsItsShare(t *testing.T) {
	g := NewWithT(t)
	kinds := []string{"a", "b", "c", "a"}
	count := map[string]int{}
	all := drawn(newPlan(7, kinds), 100*actEvery)
	for _, m := range all {
		count[m.kind]++
		g.Expect(m.later).To(BeNumerically("<", longestPause))
	}
	g.Expect(all[0].kind).To(BeEmpty(), "the user comes first")
	g.Expect(count[""]).To(Equal(100))
	g.Expect([]int{count["a"], count["b"], count["c"]}).To(Equal([]int{200, 100, 100}))
}

func TestASeedMeansTheSameUser(t *testing.T) {
	g := NewWithT(t)
	one, other := newUser(7), newUser(7)
	for range 200 {
		g.Expect(one.next()).To(Equal(other.next()))
	}
}

func TestAUserWantsWhatAMachineCanBear(t *testing.T) {
	g := NewWithT(t)
	u, done, names := newUser(3), map[act]int{}, map[string]bool{}
	for range 500 {
		d := u.next()
		done[d.act]++
		g.Expect(len(u.wishes)).To(And(BeNumerically(">=", 1), BeNumerically("<=", mostClusters)))
		if d.host != "" {
			continue
		}
		w := d.of
		g.Expect(w.members).To(BeElementOf(int32(1), int32(3)))
		g.Expect(w.workers).To(And(BeNumerically(">=", 0), BeNumerically("<=", mostWorkers)))
		g.Expect(w.windows).To(BeElementOf(int32(0), int32(1)))
		g.Expect(w.services).To(And(BeNumerically(">=", 0), BeNumerically("<=", mostServices)))
		g.Expect(w.version).To(BeElementOf(firstVersion, nextVersion))
		if d.act == creates {
			g.Expect(names).NotTo(HaveKey(w.key()), "a name is not used again")
			names[w.key()] = true
		}
		alive := slices.ContainsFunc(u.wishes, func(other wish) bool { return other == w })
		g.Expect(alive).To(Equal(d.act != deletes))
	}
	for _, act := range []act{creates, scales, resizes, upgrades, publishes, replaces, deletes, drains, takesBack} {
		g.Expect(done[act]).To(BeNumerically(">", 10), string(act))
	}
}

func TestOneHostAtATimeIsDrained(t *testing.T) {
	g := NewWithT(t)
	u, drained := newUser(3), ""
	for range 500 {
		switch d := u.next(); d.act {
		case drains:
			g.Expect(drained).To(BeEmpty(), "the last one was taken back")
			drained = d.host
		case takesBack:
			g.Expect(d.host).To(Equal(drained))
			drained = ""
		}
		g.Expect(u.drained).To(Equal(drained))
	}
}
