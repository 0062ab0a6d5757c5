package hypervmachine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// states are how hosts are, hv1 first.
type states []func(*capstanv1.HyperVHost)

func fleet(hosts states) []capstanv1.HyperVHost {
	var all []capstanv1.HyperVHost
	for i, how := range hosts {
		all = append(all, hostWith(fmt.Sprintf("hv%d", i+1), how))
	}
	return all
}

// heldBy is what holds all repair as somebody finds it who has not looked before.
func heldBy(e *evidence) *hold {
	(&outages{}).look(e)
	return e.hold
}

// untilOf is when a hold is over at the latest, zero if there is none.
func untilOf(h *hold) time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.until
}

func TestRepairIsHeldWhileMostIsGone(t *testing.T) {
	long := answering(ago(time.Hour))
	lost := func(h *capstanv1.HyperVHost) { silent(ago(time.Minute))(h); h.Spec.Lost = true }
	never := func(h *capstanv1.HyperVHost) { h.Status.Memory = nil; silent(ago(time.Minute))(h) }
	for name, tc := range map[string]struct {
		hosts []capstanv1.HyperVHost
		until time.Duration
		says  string
	}{
		"all are well":           {hosts: fleet(states{long, long, long})},
		"one of three is silent": {hosts: fleet(states{long, long, silent(ago(time.Minute))})},
		"one of two is silent":   {hosts: fleet(states{long, silent(ago(time.Minute))})},
		"two of three are silent": {
			hosts: fleet(states{long, silent(ago(20 * time.Minute)), silent(ago(10 * time.Minute))}), until: 20 * time.Minute, says: "2 of 3 hosts do not answer",
		},
		"they are silent for so long that it is let go": {hosts: fleet(states{long, silent(ago(time.Hour)), silent(ago(30 * time.Minute))})},
		"the administrator has declared them lost":      {hosts: fleet(states{long, lost, lost})},
		"hosts that have never answered do not count":   {hosts: fleet(states{long, never, never})},
		"most have come back only now": {
			hosts: fleet(states{answering(ago(2 * time.Minute)), answering(ago(3 * time.Minute)), silent(ago(40 * time.Minute))}), until: 6 * time.Minute, says: "have come back only now",
		},
		"all have come back only now": {hosts: fleet(states{answering(ago(time.Minute)), answering(ago(time.Minute))})},
		"one of two volumes is faulty": {
			hosts: fleet(states{func(h *capstanv1.HyperVHost) { long(h); faulty("NoAccess", ago(time.Minute))(h) }, long}),
		},
		"two of three volumes are faulty": {
			hosts: fleet(states{
				func(h *capstanv1.HyperVHost) { long(h); faulty("NoAccess", ago(time.Minute))(h) },
				func(h *capstanv1.HyperVHost) { long(h); faulty("Dismounted", ago(5*time.Minute))(h) }, long,
			}), until: 29 * time.Minute, says: "2 of 3 volumes cannot be read",
		},
		"hosts are silent for so long that it is let go, and volumes are faulty for a while": {
			hosts: fleet(states{
				func(h *capstanv1.HyperVHost) { long(h); faulty("NoAccess", ago(5*time.Minute))(h) }, silent(ago(time.Hour)), silent(ago(time.Hour)),
			}), until: 25 * time.Minute, says: "1 of 1 volumes cannot be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := heldBy(ofVM(tc.hosts...))
			if tc.says == "" {
				g.Expect(h).To(BeNil())
				return
			}
			g.Expect(h).NotTo(BeNil())
			g.Expect(h.until).To(Equal(noon.Add(tc.until)))
			g.Expect(h.String()).To(And(ContainSubstring(tc.says), ContainSubstring(conditions.ClockTime(h.until))))
		})
	}
}

func TestAManagerThatHasJustBegunHoldsRepairForAllOfItsTime(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(fleet(states{silent(ago(48 * time.Hour)), silent(ago(48 * time.Hour))})...)
	e.watched = ago(time.Minute)
	g.Expect(heldBy(e).until).To(Equal(noon.Add(29 * time.Minute)))
}

func TestNobodyNeedPresumeALossForRepairToBeHeld(t *testing.T) {
	g := NewWithT(t)
	none := Timeouts{HostLoss: -1}.withDefaults()
	e := ofVM(fleet(states{answering(ago(time.Hour)), silent(ago(time.Minute)), silent(ago(time.Minute))})...)
	e.timeouts = none
	g.Expect(untilOf(heldBy(e))).To(Equal(noon.Add(29 * time.Minute)))
	e = ofVM(fleet(states{answering(ago(2 * time.Minute)), answering(ago(3 * time.Minute)), silent(ago(5 * time.Minute))})...)
	e.timeouts = none
	g.Expect(untilOf(heldBy(e))).To(Equal(noon.Add(6*time.Minute)), "those that are back are given the default's time")
}

// TestAHoldIsReckonedFromItsFirstBeginning plays hosts that come and go, minute by minute.
func TestAHoldIsReckonedFromItsFirstBeginning(t *testing.T) {
	var o outages
	var since [3]time.Time
	var gone [3]bool
	// at tells how it is after so many minutes, with those hosts gone.
	at := func(minute int, away ...int) *evidence {
		now := noon.Add(time.Duration(minute) * time.Minute)
		hosts := states{}
		for i := range since {
			if is := slices.Contains(away, i); is != gone[i] || since[i].IsZero() {
				gone[i], since[i] = is, now
			}
			if gone[i] {
				hosts = append(hosts, silent(since[i]))
			} else {
				hosts = append(hosts, answering(since[i]))
			}
		}
		e := ofVM(fleet(hosts)...)
		e.now = now
		o.look(e)
		return e
	}
	for name, after := range map[string]int{"the first": 0, "another after a long while": 120} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o, since, gone = outages{}, [3]time.Time{}, [3]bool{}
			if after > 0 {
				for minute := range 40 {
					at(minute, 0, 1)
				}
			}
			for minute := after - 20; minute < after; minute++ {
				g.Expect(at(minute).hold).To(BeNil(), "minute %d", minute)
			}
			for minute := after; minute < after+60; minute++ {
				away := []int{0, 1}
				if minute%5 == 4 {
					away = []int{0}
				}
				h := at(minute, away...).hold
				if minute >= after+30 {
					g.Expect(h).To(BeNil(), "minute %d", minute)
					continue
				}
				g.Expect(h).NotTo(BeNil(), "minute %d", minute)
				g.Expect(h.until).To(BeTemporally("<=", noon.Add(time.Duration(after+30)*time.Minute)))
			}
			g.Expect(at(after + 60).over).To(Equal(noon.Add(time.Duration(after+59) * time.Minute)))
			g.Expect(at(after+66, 0, 1).hold).To(BeNil(), "they are back for too short a while for it to be another outage")
			g.Expect(at(after + 67).hold).To(BeNil())
			g.Expect(untilOf(at(after+75, 0, 1).hold)).To(Equal(noon.Add(time.Duration(after+105) * time.Minute)))
		})
	}
}

func TestAnOutageThatNobodyLookedAtMeanwhileIsOne(t *testing.T) {
	g := NewWithT(t)
	var o outages
	e := ofVM(fleet(states{answering(ago(time.Hour)), silent(ago(0)), silent(ago(0))})...)
	o.look(e)
	e.now = noon.Add(29 * time.Minute)
	o.look(e)
	g.Expect(untilOf(e.hold)).To(Equal(noon.Add(30 * time.Minute)))
}

func TestAMachineIsHeldUntilItsGuestHasHadTheTimeToBoot(t *testing.T) {
	held := func(e *evidence) {
		e.machine.Annotations = map[string]string{clusterv1.MachineSkipRemediationAnnotation: capstanv1.ReasonRepairHeld}
	}
	for name, tc := range map[string]struct {
		host  func(*capstanv1.HyperVHost)
		with  []func(*evidence)
		until time.Duration
	}{
		"its host has come back a minute ago":           {answering(ago(time.Minute)), []func(*evidence){held}, 7 * time.Minute},
		"nobody declares a loss but a person":           {answering(ago(time.Minute)), []func(*evidence){held, func(e *evidence) { e.timeouts.HostLoss = -1 }}, 7 * time.Minute},
		"its host has been back for long enough":        {answering(ago(8 * time.Minute)), []func(*evidence){held}, 0},
		"its node is ready":                             {answering(ago(time.Minute)), []func(*evidence){held, nodeReady}, 0},
		"it was not held":                               {answering(ago(time.Minute)), nil, 0},
		"its host is silent, which is another's matter": {silent(ago(time.Minute)), []func(*evidence){held}, 0},
		"its host never was away, but its cluster was": {
			answering(ago(time.Hour)), []func(*evidence){held, func(e *evidence) { e.over = ago(2 * time.Minute) }}, 6 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := ofVM(hostWith("hv1", tc.host))
			for _, f := range tc.with {
				f(e)
			}
			back := backOnlyNow(e)
			if tc.until == 0 {
				g.Expect(back).To(BeNil())
				return
			}
			g.Expect(back.until).To(Equal(noon.Add(tc.until)))
			g.Expect(back.String()).To(ContainSubstring("only now"))
		})
	}
}

func nodeReady(e *evidence) {
	e.machine.Status.Conditions = []metav1.Condition{{Type: clusterv1.MachineNodeReadyCondition, Status: metav1.ConditionTrue, Reason: "NodeReady"}}
}
