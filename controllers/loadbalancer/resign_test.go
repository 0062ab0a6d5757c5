package loadbalancer

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestAVIPThatNobodyTakesGoesBackAndIsHandedOverAgainLater(t *testing.T) {
	g := NewWithT(t)
	h, at := &handover{}, now
	for _, rest := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 16 * time.Minute} {
		g.Expect(h.keepsVIP(false, at)).To(BeZero(), "it has the VIP, and is to hand it over")
		g.Expect(h.keepsVIP(true, at)).To(BeZero())
		at = at.Add(longestVacancy - time.Millisecond)
		g.Expect(h.keepsVIP(true, at)).To(BeZero(), "the next one may be about to take it")
		at = at.Add(time.Millisecond)
		until := at.Add(rest)
		g.Expect(h.keepsVIP(true, at)).To(Equal(until))
		g.Expect(h.keepsVIP(false, until.Add(-time.Millisecond))).To(Equal(until))
		at = until
	}
}

func TestAVIPThatSomebodyHoldsNowAndThenStaysHandedOver(t *testing.T) {
	g := NewWithT(t)
	h := &handover{}
	g.Expect(h.keepsVIP(true, now)).To(BeZero())
	g.Expect(h.keepsVIP(false, now.Add(longestVacancy/2))).To(BeZero())
	g.Expect(h.keepsVIP(true, now.Add(longestVacancy))).To(BeZero())
}

func TestWhoHandsTheVIPOver(t *testing.T) {
	for name, tc := range map[string]struct {
		role, heir     string
		after          time.Duration
		released, kept bool
		withoutVIPs    bool
	}{
		"it holds it":                      {role: roleActive, heir: roleStandby, withoutVIPs: true},
		"it holds it for too long":         {role: roleActive, heir: roleStandby, after: longestResignation, released: true, withoutVIPs: true},
		"another one has it":               {role: roleUnknown, heir: roleActive, after: time.Hour, released: true, withoutVIPs: true},
		"nobody has it yet":                {role: roleUnknown, heir: roleStandby, after: time.Second, released: true, withoutVIPs: true},
		"nobody takes it that says it can": {role: roleUnknown, heir: roleStandby, after: longestVacancy, kept: true},
		"nobody can take it":               {role: roleUnknown, heir: roleUnknown, after: longestVacancy, kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, clock := NewWithT(t), clocktesting.NewFakeClock(now)
			r := &Reconciler{Clock: clock, agents: newAgents(nil, nil, clock)}
			all := []candidate{member("a", hesitates), member("b", newStandby)}
			all[0].vm.Annotations = map[string]string{capstanv1.ReplacedAnnotation: "spec.image changed"}
			all[0].role, all[1].role = tc.role, tc.heir
			s := &scope{lb: &capstanv1.LoadBalancer{}, candidates: all, now: now}
			r.followHandovers(s, slices.Clone(all))
			clock.Step(tc.after)
			s.now, s.again = clock.Now(), 0
			r.followHandovers(s, all)
			g.Expect(all[0].released).To(Equal(tc.released))
			g.Expect(!all[0].keptUntil.IsZero()).To(Equal(tc.kept))
			g.Expect(s.resigns(all[0].vm)).To(Equal(tc.withoutVIPs))
			if tc.kept {
				g.Expect(s.again).To(Equal(firstKept), "it is tried again")
			}
		})
	}
}
