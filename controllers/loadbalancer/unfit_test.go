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
		// served is the plan that a VM has served with before.
		served int64
		after  time.Duration
		unfit  bool
		blamed bool
	}{
		"one serves, and the other holds no role":          {first: faulty, second: active, after: time.Minute, unfit: true, blamed: true},
		"one serves, and the other has an older plan":      {first: behind, second: active, after: time.Minute, unfit: true, blamed: true},
		"one serves, and the other never had a plan":       {first: &lbapi.Status{}, second: active, after: time.Minute, unfit: true, blamed: true},
		"it may be serving in a moment":                    {first: faulty, second: active, after: patience / 2},
		"both serve":                                       {first: active, second: active, after: time.Minute},
		"none holds a role":                                {first: faulty, second: faulty, after: time.Minute, unfit: true},
		"none holds a role with the plan that was served":  {first: faulty, second: faulty, served: newest, after: time.Minute, unfit: true, blamed: true},
		"none could take the plan":                         {first: behind, second: behind, served: newest - 1, after: time.Minute, unfit: true},
		"the other one hesitates, as it does now and then": {first: behind, second: behind, earlier: time.Hour, after: patience / 2, unfit: true, blamed: true},
		"the other one does not answer":                    {first: faulty, after: time.Minute, unfit: true},
		"the only one held a role with this plan":          {first: faulty, served: newest, after: time.Minute, unfit: true, blamed: true},
		"the other one is new":                             {first: faulty, second: &lbapi.Status{}, after: time.Minute, unfit: true},
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
			if tc.served > 0 {
				r.agents.served(key, tc.served)
			}
			r.agents.of(key, &s.vms[0]).status = tc.first
			for _, found := range r.findUnfit(s, now.Add(-tc.earlier)) {
				g.Expect(found.since).To(BeZero())
			}
			r.agents.of(key, &s.vms[1]).status = tc.second
			r.findUnfit(s, now)
			found := r.findUnfit(s, now.Add(tc.after))
			g.Expect(!found[0].since.IsZero()).To(Equal(tc.unfit))
			g.Expect(found[0].blamed).To(Equal(tc.blamed))
			if tc.unfit {
				g.Expect(found[0].since).To(Equal(now.Add(-tc.earlier)))
				g.Expect(whyUnfit(s.lb, tc.first)).NotTo(BeEmpty())
			}
		})
	}
}

func TestWhoHasServed(t *testing.T) {
	g := NewWithT(t)
	fresh, met := &agent{}, &agent{}
	g.Expect(fresh.hasServed(false, false)).To(BeFalse())
	g.Expect(fresh.hasServed(true, false)).To(BeFalse(), "to have a plan is not to serve")
	g.Expect(fresh.hasServed(true, true)).To(BeTrue())
	g.Expect(fresh.hasServed(true, false)).To(BeTrue())
	g.Expect(met.hasServed(true, false)).To(BeTrue(), "nobody knows what was before the manager started")
}

func TestWhatServedAgainIsNotBlamedForWhatWas(t *testing.T) {
	g := NewWithT(t)
	a := &agent{}
	g.Expect(a.unfitSince(now, true)).To(Equal(now))
	g.Expect(a.unfitSince(now.Add(time.Minute), false)).To(BeZero())
	g.Expect(a.unfitSince(now.Add(time.Hour), true)).To(Equal(now.Add(time.Hour)))
}
