package outage

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// states are how hosts are, hv1 first.
type states []func(*capstanv1.HyperVHost)

func fleet(hosts states) []capstanv1.HyperVHost {
	var all []capstanv1.HyperVHost
	for i, how := range hosts {
		all = append(all, *testenv.NewHyperVHost(fmt.Sprintf("hv%d", i+1), how))
	}
	return all
}

// atNoon is what holds all repair as somebody finds it who has not looked before.
func atNoon(hosts []capstanv1.HyperVHost) *Hold {
	hold, _ := NewWatch(Timeouts{}).Look(hosts, noon)
	return hold
}

// untilOf is when a hold is over at the latest, zero if there is none.
func untilOf(h *Hold) time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.Until
}

func TestRepairIsHeldWhileMostIsGone(t *testing.T) {
	long := testenv.Answering(ago(time.Hour))
	lost := func(h *capstanv1.HyperVHost) { testenv.Silent(ago(time.Minute))(h); h.Spec.Lost = true }
	never := func(h *capstanv1.HyperVHost) { h.Status.Memory = nil; testenv.Silent(ago(time.Minute))(h) }
	for name, tc := range map[string]struct {
		hosts []capstanv1.HyperVHost
		until time.Duration
		says  string
	}{
		"all are well":           {hosts: fleet(states{long, long, long})},
		"one of three is silent": {hosts: fleet(states{long, long, testenv.Silent(ago(time.Minute))})},
		"one of two is silent":   {hosts: fleet(states{long, testenv.Silent(ago(time.Minute))})},
		"two of three are silent": {
			hosts: fleet(states{long, testenv.Silent(ago(20 * time.Minute)), testenv.Silent(ago(10 * time.Minute))}), until: 20 * time.Minute, says: "2 of 3 hosts do not answer",
		},
		"they are silent for so long that it is let go": {hosts: fleet(states{long, testenv.Silent(ago(time.Hour)), testenv.Silent(ago(30 * time.Minute))})},
		"the administrator has declared them lost":      {hosts: fleet(states{long, lost, lost})},
		"hosts that have never answered do not count":   {hosts: fleet(states{long, never, never})},
		"most have come back only now": {
			hosts: fleet(states{testenv.Answering(ago(2 * time.Minute)), testenv.Answering(ago(3 * time.Minute)), testenv.Silent(ago(40 * time.Minute))}), until: 6 * time.Minute, says: "have come back only now",
		},
		"all have come back only now": {hosts: fleet(states{testenv.Answering(ago(time.Minute)), testenv.Answering(ago(time.Minute))})},
		"one of two volumes is faulty": {
			hosts: fleet(states{func(h *capstanv1.HyperVHost) { long(h); testenv.WithFault("NoAccess", ago(time.Minute))(h) }, long}),
		},
		"two of three volumes are faulty": {
			hosts: fleet(states{
				func(h *capstanv1.HyperVHost) { long(h); testenv.WithFault("NoAccess", ago(time.Minute))(h) },
				func(h *capstanv1.HyperVHost) { long(h); testenv.WithFault("Dismounted", ago(5*time.Minute))(h) }, long,
			}), until: 29 * time.Minute, says: "2 of 3 volumes cannot be read",
		},
		"hosts are silent for so long that it is let go, and volumes are faulty for a while": {
			hosts: fleet(states{
				func(h *capstanv1.HyperVHost) { long(h); testenv.WithFault("NoAccess", ago(5*time.Minute))(h) }, testenv.Silent(ago(time.Hour)), testenv.Silent(ago(time.Hour)),
			}), until: 25 * time.Minute, says: "1 of 1 volumes cannot be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := atNoon(tc.hosts)
			if tc.says == "" {
				g.Expect(h).To(BeNil())
				return
			}
			g.Expect(h).NotTo(BeNil())
			g.Expect(h.Until).To(Equal(noon.Add(tc.until)))
			g.Expect(h.String()).To(And(ContainSubstring(tc.says), ContainSubstring(conditions.ClockTime(h.Until))))
		})
	}
}

func TestAManagerThatHasJustBegunHoldsRepairForAllOfItsTime(t *testing.T) {
	g := NewWithT(t)
	w := NewWatch(Timeouts{})
	g.Expect(w.Begin(ago(time.Minute))).To(Equal(ago(time.Minute)))
	g.Expect(w.Begin(noon)).To(Equal(ago(time.Minute)), "somebody did before")
	hold, _ := w.Look(fleet(states{testenv.Silent(ago(48 * time.Hour)), testenv.Silent(ago(48 * time.Hour))}), noon)
	g.Expect(untilOf(hold)).To(Equal(noon.Add(29 * time.Minute)))
}

func TestNobodyNeedPresumeALossForRepairToBeHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		hosts states
		until time.Duration
	}{
		"most are silent": {states{testenv.Answering(ago(time.Hour)), testenv.Silent(ago(time.Minute)), testenv.Silent(ago(time.Minute))}, 29 * time.Minute},
		"those that are back are given the default's time": {
			states{testenv.Answering(ago(2 * time.Minute)), testenv.Answering(ago(3 * time.Minute)), testenv.Silent(ago(5 * time.Minute))}, 6 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			hold, _ := NewWatch(Timeouts{HostLoss: -1}).Look(fleet(tc.hosts), noon)
			NewWithT(t).Expect(untilOf(hold)).To(Equal(noon.Add(tc.until)))
		})
	}
}

// play is hosts that come and go, minute by minute, and who watches them.
type play struct {
	watch *Watch
	since [3]time.Time
	gone  [3]bool
}

// at tells how it is after so many minutes, with those hosts gone.
func (p *play) at(minute int, away ...int) (hold *Hold, over time.Time) {
	now := noon.Add(time.Duration(minute) * time.Minute)
	hosts := states{}
	for i := range p.since {
		if is := slices.Contains(away, i); is != p.gone[i] || p.since[i].IsZero() {
			p.gone[i], p.since[i] = is, now
		}
		if p.gone[i] {
			hosts = append(hosts, testenv.Silent(p.since[i]))
		} else {
			hosts = append(hosts, testenv.Answering(p.since[i]))
		}
	}
	return p.watch.Look(fleet(hosts), now)
}

func (p *play) heldAt(minute int, away ...int) *Hold {
	hold, _ := p.at(minute, away...)
	return hold
}

func TestAHoldIsReckonedFromItsFirstBeginning(t *testing.T) {
	for name, after := range map[string]int{"the first": 0, "another after a long while": 120} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := &play{watch: NewWatch(Timeouts{})}
			if after > 0 {
				for minute := range 40 {
					p.at(minute, 0, 1)
				}
			}
			for minute := after - 20; minute < after; minute++ {
				g.Expect(p.heldAt(minute)).To(BeNil(), "minute %d", minute)
			}
			for minute := after; minute < after+60; minute++ {
				away := []int{0, 1}
				if minute%5 == 4 {
					away = []int{0}
				}
				h := p.heldAt(minute, away...)
				if minute >= after+30 {
					g.Expect(h).To(BeNil(), "minute %d", minute)
					continue
				}
				g.Expect(h).NotTo(BeNil(), "minute %d", minute)
				g.Expect(h.Until).To(BeTemporally("<=", noon.Add(time.Duration(after+30)*time.Minute)))
			}
			_, over := p.at(after + 60)
			g.Expect(over).To(Equal(noon.Add(time.Duration(after+59) * time.Minute)))
			g.Expect(p.heldAt(after + 61)).To(BeNil())
			g.Expect(untilOf(p.heldAt(after+75, 0, 1))).To(Equal(noon.Add(time.Duration(after+105) * time.Minute)))
		})
	}
}

func TestPowerThatFailsAgainIsHeldAgainAFewTimes(t *testing.T) {
	g := NewWithT(t)
	p := &play{watch: NewWatch(Timeouts{})}
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	for cut := range 2 * mostAgain {
		begins := cut * 30
		h := p.heldAt(begins, 0, 1, 2)
		if cut > mostAgain {
			g.Expect(h).To(BeNil(), "cut %d", cut)
		} else {
			g.Expect(untilOf(h)).To(Equal(at(begins+30)), "cut %d", cut)
		}
		p.at(begins+25, 0, 1, 2)
		for minute := begins + 26; minute < begins+30; minute++ {
			g.Expect(p.heldAt(minute)).To(BeNil(), "all are back")
		}
	}
	g.Expect(p.heldAt(200)).To(BeNil())
	g.Expect(untilOf(p.heldAt(201, 0, 1, 2))).To(Equal(at(231)), "it was quiet for long")
}

func TestAnOutageThatNobodyLookedAtMeanwhileIsOne(t *testing.T) {
	g := NewWithT(t)
	w := NewWatch(Timeouts{})
	hosts := fleet(states{testenv.Answering(ago(time.Hour)), testenv.Silent(ago(0)), testenv.Silent(ago(0))})
	w.Look(hosts, noon)
	hold, _ := w.Look(hosts, noon.Add(29*time.Minute))
	g.Expect(untilOf(hold)).To(Equal(noon.Add(30 * time.Minute)))
}

func TestAllWhoLookKnowOfOneOutage(t *testing.T) {
	g := NewWithT(t)
	w := NewWatch(Timeouts{})
	w.Look(fleet(states{testenv.Silent(noon), testenv.Silent(noon)}), noon)
	again := fleet(states{testenv.Silent(noon.Add(5 * time.Minute)), testenv.Silent(noon.Add(5 * time.Minute))})
	var all sync.WaitGroup
	found := make([]time.Time, 8)
	for i := range found {
		all.Go(func() {
			w.Begin(noon)
			hold, _ := w.Look(again, noon.Add(6*time.Minute))
			found[i] = untilOf(hold)
		})
	}
	all.Wait()
	g.Expect(found).To(HaveEach(noon.Add(30*time.Minute)), "it was first seen by another")
}

func TestALossIsDueUnlessTheAdministratorForbidsIt(t *testing.T) {
	g := NewWithT(t)
	due, ever := NewWatch(Timeouts{}).Timeouts().LostAt(noon)
	g.Expect(ever).To(BeTrue())
	g.Expect(due).To(Equal(noon.Add(DefaultHostLossTimeout)))
	_, ever = NewWatch(Timeouts{HostLoss: -1}).Timeouts().LostAt(noon)
	g.Expect(ever).To(BeFalse())
}
