package loadbalancer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// member is a VM named after its state, on a host of its own.
func member(name string, with ...func(*candidate)) candidate {
	c := candidate{vm: &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}}
	c.vm.Status.Host = "host-of-" + name
	for _, f := range with {
		f(&c)
	}
	return c
}

func well(c *candidate)    { c.answers, c.carries, c.carried = true, true, true }
func waiting(c *candidate) { c.answers, c.isNew = true, true }
func rehearsed(c *candidate) {
	waiting(c)
	c.carries, c.carried, c.planned, c.rehearsed = true, true, true, true
}
func rising(c *candidate) { c.rising = true }
func going(c *candidate)  { c.vm.DeletionTimestamp = &metav1.Time{Time: now} }
func stuck(c *candidate) {
	going(c)
	c.stuck = true
}
func gone(c *candidate) {
	c.carried, c.verdict = true, verdict{reason: capstanv1.ReasonHostLost, message: "gone"}
}

func silent(c *candidate) {
	c.carried, c.verdict = true, verdict{reason: capstanv1.ReasonAgentSilent, message: "silent", mayLive: true}
}
func unfit(c *candidate) {
	c.answers, c.unfit, c.verdict = true, true, verdict{reason: capstanv1.ReasonAgentUnfit, message: "unfit", mayLive: true}
}
func failed(c *candidate) {
	c.verdict = verdict{reason: capstanv1.ReasonOutOfCapacity, message: "failed"}
}
func soon(c *candidate) {
	c.carried, c.verdict = true, verdict{reason: capstanv1.ReasonAgentSilent, mayLive: true, until: now.Add(time.Minute)}
}

func TestWhatIsDoneAboutVMs(t *testing.T) {
	for name, tc := range map[string]struct {
		all      []candidate
		wanted   int
		missing  int
		replaced string
		surplus  int
	}{
		"there are none yet":                           {wanted: 2, missing: 2},
		"all are well":                                 {all: []candidate{member("a", well), member("b", well)}, wanted: 2},
		"one goes, whoever deleted it":                 {all: []candidate{member("a", going), member("b", well)}, wanted: 2},
		"one is stuck, and its successor is made":      {all: []candidate{member("a", stuck), member("b", well)}, wanted: 2, missing: 1},
		"the stuck one's successor boots":              {all: []candidate{member("a", stuck), member("b", well), member("c", rising)}, wanted: 2},
		"the stuck one's successor waits for a plan":   {all: []candidate{member("a", stuck), member("b", well), member("c", waiting)}, wanted: 2},
		"one is stuck that was too many":               {all: []candidate{member("a", stuck), member("b", well)}, wanted: 1},
		"one is stuck and the other is gone":           {all: []candidate{member("a", stuck), member("b", gone), member("c", waiting)}, wanted: 2, missing: 1, replaced: "b"},
		"the only one is gone and another is stuck":    {all: []candidate{member("a", stuck), member("b", gone)}, wanted: 1, missing: 1, replaced: "b"},
		"one is stuck and the silent one is the last":  {all: []candidate{member("a", stuck), member("b", silent)}, wanted: 1, missing: 1},
		"one is stuck while there are too many":        {all: []candidate{member("a", stuck), member("b", well), member("c", well)}, wanted: 1, surplus: 1},
		"there are too many":                           {all: []candidate{member("a", well), member("b", well)}, wanted: 1, surplus: 1},
		"one is silent, and not for long":              {all: []candidate{member("a", soon), member("b", well)}, wanted: 2},
		"one is gone":                                  {all: []candidate{member("a", gone), member("b", well)}, wanted: 2, missing: 1, replaced: "a"},
		"one is gone, and so many are not wanted":      {all: []candidate{member("a", gone), member("b", well)}, wanted: 1, replaced: "a"},
		"the only one is gone":                         {all: []candidate{member("a", gone)}, wanted: 1, missing: 1, replaced: "a"},
		"one is gone while its successor boots":        {all: []candidate{member("a", gone), member("b", rising)}, wanted: 1, surplus: 1},
		"both are gone":                                {all: []candidate{member("a", gone), member("b", gone)}, wanted: 2, missing: 1, replaced: "a"},
		"the second is gone while the first is going":  {all: []candidate{member("a", going), member("b", gone), member("c", rising)}, wanted: 2, surplus: 1},
		"the second is gone and the first is replaced": {all: []candidate{member("b", gone), member("c", well)}, wanted: 2, missing: 1, replaced: "b"},
		"one never came up":                            {all: []candidate{member("a", well), member("b", failed)}, wanted: 2, missing: 1, replaced: "b"},
		"neither ever came up":                         {all: []candidate{member("a", failed), member("b", failed)}, wanted: 2, missing: 1, replaced: "a"},
		"one never came up and one is silent":          {all: []candidate{member("a", silent), member("b", failed)}, wanted: 2, missing: 1, replaced: "b"},
		"one is silent":                                {all: []candidate{member("a", silent), member("b", well)}, wanted: 2, missing: 1},
		"one is silent and its successor boots":        {all: []candidate{member("a", silent), member("b", well), member("c", rising)}, wanted: 2},
		"one is silent and its successor is there":     {all: []candidate{member("a", silent), member("b", newActive), member("c", waiting)}, wanted: 2, replaced: "a"},
		"one is silent and nobody serves":              {all: []candidate{member("a", silent), member("b", well), member("c", waiting)}, wanted: 2},
		"the only one is silent":                       {all: []candidate{member("a", silent)}, wanted: 1, missing: 1},
		"the only one's successor has no plan":         {all: []candidate{member("a", silent), member("b", waiting)}, wanted: 1},
		"the only one's successor has rehearsed":       {all: []candidate{member("a", silent), member("b", rehearsed)}, wanted: 1, replaced: "a"},
		"the only one's successor fell silent, too":    {all: []candidate{member("a", silent), member("b", soon)}, wanted: 1},
		"both are silent":                              {all: []candidate{member("a", silent), member("b", silent)}, wanted: 2, missing: 1},
		"both are silent and a successor has no plan":  {all: []candidate{member("a", silent), member("b", silent), member("c", waiting)}, wanted: 2},
		"both are silent and a successor has none yet": {all: []candidate{member("a", silent), member("b", silent), member("c", rising)}, wanted: 2},
		"both are silent and a successor rehearsed":    {all: []candidate{member("a", silent), member("b", silent), member("c", rehearsed)}, wanted: 2, replaced: "a"},
		"all are silent, the successor included":       {all: []candidate{member("a", silent), member("b", silent), member("c", silent)}, wanted: 2},
		"the second silent one holds up its successor": {all: []candidate{member("b", silent), member("c", rehearsed)}, wanted: 2, replaced: "b"},
		"the silent one answers again":                 {all: []candidate{member("a", well), member("b", well), member("c", waiting)}, wanted: 2, surplus: 1},
		"one does not serve, and the other one does":   {all: []candidate{member("a", unfit), member("b", newActive)}, wanted: 2, missing: 1},
		"who does not serve has a successor that does": {all: []candidate{member("a", unfit), member("b", newActive), member("c", newStandby)}, wanted: 2, replaced: "a"},
		"who does not serve is one too many":           {all: []candidate{member("a", unfit), member("b", newActive)}, wanted: 1, replaced: "a"},
		"the only one does not serve":                  {all: []candidate{member("a", unfit)}, wanted: 1, missing: 1},
		"the only one's successor may serve soon":      {all: []candidate{member("a", unfit), member("b", well)}, wanted: 1},
		"the only one's successor serves":              {all: []candidate{member("a", unfit), member("b", newActive)}, wanted: 1, replaced: "a"},
		"the only one's successor does not serve":      {all: []candidate{member("a", unfit), member("b", unfit)}, wanted: 1},
		"none serves":                                  {all: []candidate{member("a", unfit), member("b", unfit)}, wanted: 2, missing: 1},
		"none serves, the successor included":          {all: []candidate{member("a", unfit), member("b", unfit), member("c", unfit)}, wanted: 2},
		"none serves, and the spec is changed":         {all: []candidate{member("a", unfit, old), member("b", unfit, old), member("c", unfit, old)}, wanted: 2, replaced: "a"},
		"none serves, and there is room for another":   {all: []candidate{member("b", unfit, old), member("c", unfit, old)}, wanted: 2, missing: 1},
		"none serves, nor does who has the new spec":   {all: []candidate{member("a", unfit, old), member("b", unfit, old), member("c", unfit, old), member("d", unfit)}, wanted: 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			st := decide(tc.all, tc.wanted)
			g.Expect(st.missing).To(Equal(tc.missing))
			g.Expect(st.surplus).To(Equal(tc.surplus))
			replaced := ""
			if st.replaced != nil {
				replaced = st.replaced.vm.Name
			}
			g.Expect(replaced).To(Equal(tc.replaced))
			g.Expect(st.isNothing()).To(Equal(tc.missing == 0 && tc.surplus == 0 && tc.replaced == ""))
		})
	}
}

// TestNeverTwoAtATime holds the rules for any set of VMs.
func TestNeverTwoAtATime(t *testing.T) {
	states := []func(*candidate){well, waiting, rehearsed, rising, going, stuck, gone, silent, failed, soon, oldStandby, oldActive, oldSilent, oldGoing, hesitates, resigned, hesitant, unfit}
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.IntRange(1, 5).Draw(t, "wanted")
		var all []candidate
		for i, state := range rapid.SliceOfN(rapid.IntRange(0, len(states)-1), 0, 7).Draw(t, "states") {
			all = append(all, member(fmt.Sprintf("vm-%d", i), states[state]))
		}
		g := NewWithT(t)
		st := decide(all, wanted)
		rolling := slices.ContainsFunc(all, func(c candidate) bool { return len(c.changed) > 0 })
		busy := slices.ContainsFunc(all, func(c candidate) bool { return c.rising || !c.vm.DeletionTimestamp.IsZero() && !c.stuck })
		ready := slices.ContainsFunc(all, func(c candidate) bool { return c.serves || c.rehearsed })
		if st.replaced != nil {
			g.Expect(busy).To(BeFalse(), "one comes or goes already")
			g.Expect(st.replaced.isDead()).To(BeTrue())
			g.Expect(st.surplus).To(BeZero(), "nothing else is deleted in the same round")
			if st.replaced.mayLive {
				g.Expect(ready || st.replaced.unfit).To(BeTrue(), "nobody is good for its place")
			}
			if st.replaced.unfit {
				g.Expect(slices.ContainsFunc(all, func(c candidate) bool { return c.serves || len(c.changed) > 0 })).To(BeTrue(), "nothing shows that it is at fault")
			}
		}
		if st.rolled != nil {
			g.Expect(busy).To(BeFalse(), "one comes or goes already")
			g.Expect(st.rolled.changed).NotTo(BeEmpty())
			g.Expect(st.replaced == nil && st.missing == 0 && st.surplus == 0).To(BeTrue(), "nothing else is done in the same round")
			g.Expect(slices.ContainsFunc(all, func(c candidate) bool {
				return c.serves && !c.resigns && (len(c.changed) == 0 || st.rolled.resigns)
			})).To(BeTrue(), "nobody has its share")
			g.Expect(len(all) - len(namesOfStuck(all))).To(BeNumerically(">", wanted))
		}
		if st.successorOf != "" {
			g.Expect(busy || !rolling).To(BeFalse())
			g.Expect(st.missing).To(Equal(1))
		}
		counted := len(all) - len(namesOfStuck(all))
		if failedNewcomer(all) != nil {
			// It is kept to be looked at.
			counted--
		}
		g.Expect(counted + st.missing - st.surplus).To(BeNumerically("<=", max(wanted+1, counted)))
		for _, c := range expendable(all)[:st.surplus] {
			g.Expect(c.vm.Name).NotTo(BeElementOf(namesOfStuck(all)))
		}
		g.Expect(st.missing == 0 || st.surplus == 0).To(BeTrue())
	})
}

func namesOfStuck(all []candidate) (names []string) {
	for _, c := range all {
		if c.stuck {
			names = append(names, c.vm.Name)
		}
	}
	return names
}

func TestOnlyADeletionThatNobodyAnswersIsStuck(t *testing.T) {
	for name, tc := range map[string]struct {
		deleted  bool
		reason   string
		observed int64
		want     bool
	}{
		"its host does not answer":                      {deleted: true, reason: capstanv1.ReasonHostUnreachable, observed: 2, want: true},
		"somebody has moved it by hand":                 {deleted: true, reason: capstanv1.ReasonMovedElsewhere, observed: 2, want: true},
		"its host did not answer before it was deleted": {deleted: true, reason: capstanv1.ReasonHostUnreachable, observed: 1},
		"its host is at it":                             {deleted: true, reason: capstanv1.ReasonDeleting, observed: 2},
		"its host could not do it":                      {deleted: true, reason: capstanv1.ReasonTransientError, observed: 2},
		"it is not deleted":                             {reason: capstanv1.ReasonHostUnreachable, observed: 2},
	} {
		t.Run(name, func(t *testing.T) {
			vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			vm.Status.Conditions = []metav1.Condition{{Type: capstanv1.ReadyCondition, Reason: tc.reason, ObservedGeneration: tc.observed}}
			if tc.deleted {
				vm.DeletionTimestamp = &metav1.Time{Time: now}
			}
			NewWithT(t).Expect(isStuck(vm)).To(Equal(tc.want))
		})
	}
}

func TestASuccessorAvoidsWhereItsPredecessorsFailed(t *testing.T) {
	g := NewWithT(t)
	c := member("b", failed)
	c.vm.Spec.AvoidHosts = []string{"hv1", "hv2"}
	c.vm.Status.Host = "hv3"
	g.Expect(decide([]candidate{c}, 1).avoid).To(Equal([]string{"hv1", "hv2", "hv3"}))
	c.vm.Spec.AvoidHosts = []string{"1", "2", "3", "4", "5", "6", "7", "8"}
	g.Expect(decide([]candidate{c}, 1).avoid).To(Equal([]string{"2", "3", "4", "5", "6", "7", "8", "hv3"}))
	c.vm.Spec.AvoidHosts = []string{"hv3", "hv1"}
	g.Expect(decide([]candidate{c}, 1).avoid).To(Equal([]string{"hv3", "hv1"}))
}
