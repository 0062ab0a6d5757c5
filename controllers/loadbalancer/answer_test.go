package loadbalancer

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestAnAnswerTakesNothingBackThatWasSeenSince(t *testing.T) {
	holding := func(generation int64, role lbapi.Role) lbapi.Status {
		return lbapi.Status{Generation: generation, Hash: "hash", VIPs: []lbapi.VIPStatus{{Address: "192.0.2.9", Role: role}}}
	}
	for name, tc := range map[string]struct {
		seen   *lbapi.Status
		answer lbapi.Status
		want   string
	}{
		"nothing was seen yet":              {answer: holding(2, lbapi.RoleStandby), want: roleStandby},
		"what was seen is of an older plan": {seen: new(holding(1, lbapi.RoleActive)), answer: holding(2, lbapi.RoleStandby), want: roleStandby},
		"the plan was seen in force":        {seen: new(holding(2, lbapi.RoleActive)), answer: holding(2, lbapi.RoleStandby), want: roleActive},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agent{status: tc.seen}
			a.answered(tc.answer)
			NewWithT(t).Expect(roleOf(a.observed())).To(Equal(tc.want))
		})
	}
}
