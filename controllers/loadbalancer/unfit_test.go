package loadbalancer

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestWhoIsBlamedForNotServing(t *testing.T) {
	const newest = 3
	status := func(generation int64, role lbapi.Role) *lbapi.Status {
		return &lbapi.Status{Generation: generation, VIPs: []lbapi.VIPStatus{{Address: "192.0.2.9", Role: role}}, Messages: []string{"the check failed"}}
	}
	active, faulty, behind := status(newest, lbapi.RoleActive), status(newest, lbapi.RoleFault), status(newest-1, lbapi.RoleStandby)
	for name, tc := range map[string]struct {
		first, second *lbapi.Status
		// earlier is for how long the first one has been as it is before the second one was.
		earlier time.Duration
		after   time.Duration
		blamed  bool
	}{
		"one serves, and the other holds no role":          {first: faulty, second: active, after: time.Minute, blamed: true},
		"one serves, and the other has an older plan":      {first: behind, second: active, after: time.Minute, blamed: true},
		"one serves, and the other never had a plan":       {first: &lbapi.Status{}, second: active, after: time.Minute, blamed: true},
		"it may be serving in a moment":                    {first: faulty, second: active, after: patience / 2},
		"both serve":                                       {first: active, second: active, after: time.Minute},
		"none holds a role":                                {first: faulty, second: faulty, after: time.Minute},
		"none could take the plan":                         {first: behind, second: behind, after: time.Minute},
		"the other one hesitates, as it does now and then": {first: behind, second: behind, earlier: time.Hour, after: patience / 2, blamed: true},
		"the other one does not answer":                    {first: faulty, after: time.Minute},
		"the other one is new":                             {first: faulty, second: &lbapi.Status{}, after: time.Minute},
		"it does not answer":                               {second: active, after: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r := &Reconciler{agents: newAgents(nil, nil, nil)}
			s := &scope{lb: &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}}
			s.lb.Status.PlanGeneration = newest
			for _, name := range []string{"first", "second"} {
				s.vms = append(s.vms, capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)}})
			}
			key := types.NamespacedName{Namespace: "team", Name: "shop"}
			r.agents.of(key, &s.vms[0]).status = tc.first
			g.Expect(r.findUnfit(s, now.Add(-tc.earlier))).To(HaveEach(BeZero()))
			r.agents.of(key, &s.vms[1]).status = tc.second
			r.findUnfit(s, now)
			blamed := r.findUnfit(s, now.Add(tc.after))
			g.Expect(!blamed[0].IsZero()).To(Equal(tc.blamed))
			g.Expect(blamed[1]).To(BeZero())
			if tc.blamed {
				g.Expect(blamed[0]).To(Equal(now.Add(-tc.earlier)))
				g.Expect(whyUnfit(s.lb, tc.first)).NotTo(BeEmpty())
			}
		})
	}
}

func TestWhatServedAgainIsNotBlamedForWhatWas(t *testing.T) {
	g := NewWithT(t)
	a := &agent{}
	g.Expect(a.unfitSince(now, true)).To(Equal(now))
	g.Expect(a.unfitSince(now.Add(time.Minute), false)).To(BeZero())
	g.Expect(a.unfitSince(now.Add(time.Hour), true)).To(Equal(now.Add(time.Hour)))
}
