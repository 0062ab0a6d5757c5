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
		doing, of := one.next()
		again, as := other.next()
		g.Expect(doing).To(Equal(again))
		g.Expect(of).To(Equal(as))
	}
}

func TestAUserWantsWhatAMachineCanBear(t *testing.T) {
	g := NewWithT(t)
	u, done, names := newUser(3), map[act]int{}, map[string]bool{}
	for range 500 {
		doing, w := u.next()
		done[doing]++
		g.Expect(len(u.wishes)).To(And(BeNumerically(">=", 1), BeNumerically("<=", mostClusters)))
		g.Expect(w.members).To(BeElementOf(int32(1), int32(3)))
		g.Expect(w.workers).To(And(BeNumerically(">=", 0), BeNumerically("<=", mostWorkers)))
		g.Expect(w.version).To(BeElementOf(firstVersion, nextVersion))
		if doing == creates {
			g.Expect(names).NotTo(HaveKey(w.key()), "a name is not used again")
			names[w.key()] = true
		}
		alive := slices.ContainsFunc(u.wishes, func(other wish) bool { return other == w })
		g.Expect(alive).To(Equal(doing != deletes))
	}
	for _, doing := range []act{creates, scales, resizes, upgrades, deletes} {
		g.Expect(done[doing]).To(BeNumerically(">", 10), string(doing))
	}
}
