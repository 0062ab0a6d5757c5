package nodepool

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/translate"
)

const (
	quiet       = 3 * time.Second
	longestHold = 2 * time.Minute
)

// edited is a pool under edit. Each look at it is a reconciler of its own, as
// after a restart of the manager.
type edited struct {
	clock *clocktesting.FakePassiveClock
	wlc   *capstanv1.WorkloadCluster
	pool  *capstanv1.NodePool
	first translate.PoolObjects
}

func newEdited() *edited {
	e := &edited{
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		wlc:   testenv.NewWorkloadCluster("team", "shop"),
		pool:  testenv.NewNodePool("team", "shop-linux", "shop", testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi"))),
	}
	e.first = e.objects()
	return e
}

func (e *edited) objects() translate.PoolObjects {
	return translate.NodePool(e.wlc, e.pool, testenv.Version, translate.NodeImage{Name: "linux"})
}

// look looks at the pool, whose nodes are as they were at first.
func (e *edited) look(t *testing.T) *scope {
	t.Helper()
	s := &scope{pool: e.pool, cluster: e.wlc, existing: e.first.Machines.DeepCopy(), objects: e.objects()}
	r := &Reconciler{Clock: e.clock, RolloutQuietPeriod: quiet, RolloutLongestHold: longestHold}
	NewWithT(t).Expect(r.holdRollout(t.Context(), s)).To(Succeed())
	return s
}

func (e *edited) wait(d time.Duration) { e.clock.SetTime(e.clock.Now().Add(d)) }

func (e *edited) cpus(n int32) { e.pool.Spec.Size.CPUs = n }

func TestOnlyTheLastOfManyEditsIsRolledOut(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	for i := range int32(10) {
		e.cpus(4 + i)
		s := e.look(t)
		g.Expect(s.held).To(BeTrue())
		g.Expect(s.after).To(Equal(quiet), "each edit begins the quiet period anew")
		g.Expect(s.objects.MachineTemplate).To(BeNil(), "no template is made for what is not rolled out")
		g.Expect(s.objects.ReplacesNodes(e.first.Machines)).To(BeFalse())
		e.wait(2 * time.Second)
	}
	s := e.look(t)
	g.Expect(s.held).To(BeTrue())
	g.Expect(s.after).To(Equal(time.Second), "a look is no edit")
	e.wait(time.Second)
	s = e.look(t)
	g.Expect(s.held).To(BeFalse())
	g.Expect(s.objects.MachineTemplate.Spec.Template.Spec.Size.CPUs).To(Equal(int32(13)))
}

func TestAnEditThatIsTakenBackRollsNothing(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	e.cpus(4)
	g.Expect(e.look(t).held).To(BeTrue())
	e.cpus(2)
	s := e.look(t)
	g.Expect(s.held).To(BeFalse())
	g.Expect(e.pool.Status.PendingRollout).To(BeNil())
	g.Expect(s.objects.ReplacesNodes(e.first.Machines)).To(BeFalse())
	e.wait(quiet)
	e.cpus(4)
	g.Expect(e.look(t).held).To(BeTrue(), "what was taken back begins anew")
}

func TestScalingIsNeitherDelayedNorADelay(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	e.pool.Spec.Replicas = ptr.To[int32](5)
	g.Expect(e.look(t).held).To(BeFalse())
	e.cpus(4)
	g.Expect(e.look(t).after).To(Equal(quiet))
	e.wait(time.Second)
	e.pool.Spec.Replicas = ptr.To[int32](6)
	s := e.look(t)
	g.Expect(s.after).To(Equal(quiet - time.Second))
	g.Expect(s.objects.Machines.Spec.Replicas).To(HaveValue(Equal(int32(6))))
}

func TestTheFirstNodesAreNotDelayed(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	s := &scope{pool: e.pool, cluster: e.wlc, objects: e.objects()}
	r := &Reconciler{Clock: e.clock, RolloutQuietPeriod: quiet, RolloutLongestHold: longestHold}
	g.Expect(r.holdRollout(t.Context(), s)).To(Succeed())
	g.Expect(s.held).To(BeFalse())
	g.Expect(s.objects.MachineTemplate).NotTo(BeNil())
}

func TestAClockThatWasWrongHoldsNothingUp(t *testing.T) {
	for what, set := range map[string]func(p *capstanv1.PendingRollout, at metav1.MicroTime){
		"when it was edited":      func(p *capstanv1.PendingRollout, at metav1.MicroTime) { p.Since = at },
		"when it was held":        func(p *capstanv1.PendingRollout, at metav1.MicroTime) { p.HeldSince = at },
		"when both of them began": func(p *capstanv1.PendingRollout, at metav1.MicroTime) { p.Since, p.HeldSince = at, at },
	} {
		t.Run(what, func(t *testing.T) {
			g, e := NewWithT(t), newEdited()
			e.cpus(4)
			e.look(t)
			set(e.pool.Status.PendingRollout, metav1.NewMicroTime(e.clock.Now().AddDate(1, 0, 0)))
			s := e.look(t)
			g.Expect(s.after).To(Equal(quiet))
			g.Expect(s.latest).To(Equal(e.clock.Now().Add(longestHold)))
		})
	}
}

// editOften edits the pool so many times, and returns how many roll-outs began till
// all was quiet. Nodes are as they shall be as soon as one begins.
func (e *edited) editOften(t *testing.T, edits int, every time.Duration) int {
	t.Helper()
	rollouts := 0
	look := func() *scope {
		s := e.look(t)
		if !s.held && s.objects.ReplacesNodes(s.existing) {
			rollouts++
			e.first, e.pool.Status.PendingRollout = s.objects, nil
		}
		return s
	}
	for i := range edits {
		e.cpus(int32(3 + i))
		look()
		e.wait(every)
	}
	for s := look(); s.held; s = look() {
		e.wait(s.after)
	}
	return rollouts
}

func TestAPoolThatIsNeverLeftAloneIsRolledOutFromTimeToTime(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	g.Expect(e.editOften(t, 600, 2*time.Second)).To(Equal(10), "20 minutes are 10 longest holds")
	g.Expect(e.first.MachineTemplate.Spec.Template.Spec.Size.CPUs).To(Equal(int32(602)), "what was asked for last is there in the end")
}

func TestTwoHundredEditsInAMinuteBeginNoMoreThanTwoRollOuts(t *testing.T) {
	for held := time.Duration(0); held < longestHold; held += 2 * time.Second {
		g, e := NewWithT(t), newEdited()
		e.cpus(99)
		e.look(t)
		// However long somebody else's edits were held before.
		e.pool.Status.PendingRollout.HeldSince = metav1.NewMicroTime(e.clock.Now().Add(-held))
		g.Expect(e.editOften(t, 200, time.Minute/200)).To(And(BeNumerically(">=", 1), BeNumerically("<=", 2)))
	}
}

func TestTheEndOfALongHoldIsTold(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	for i := range int32(60) {
		e.cpus(4 + i)
		e.look(t)
		e.wait(1990 * time.Millisecond)
	}
	s := e.look(t)
	s.deployment = s.existing
	setStatus(s)
	g.Expect(e.pool.Status.Conditions).To(ContainElement(And(
		HaveField("Type", capstanv1.ReadyCondition), HaveField("Reason", capstanv1.ReasonRolloutPending),
		HaveField("Message", HaveSuffix("begins at 2026-03-01T12:02:00Z, however often it is edited")),
	)))
}

func TestAPendingRollOutIsTold(t *testing.T) {
	g, e := NewWithT(t), newEdited()
	e.cpus(4)
	s := e.look(t)
	s.deployment = s.existing
	setStatus(s)
	g.Expect(e.pool.Status.Conditions).To(ContainElement(And(
		HaveField("Type", capstanv1.ReadyCondition), HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonRolloutPending),
		HaveField("Message", "0 of 1 nodes ready; a change that replaces them is pending since 2026-03-01T12:00:00Z and begins at 2026-03-01T12:00:03Z, or if it is edited again at 2026-03-01T12:02:00Z at the latest"),
	)))
}

func TestAPausedRollOutIsTold(t *testing.T) {
	for what, tc := range map[string]struct {
		available int32
		reason    string
		message   string
	}{
		"where nothing else is missing": {3, capstanv1.ReasonRolloutPaused, "3 nodes ready, 1 of them as the spec says; the roll-out is paused: set rollout.paused to false to go on"},
		"where nodes are missing, too":  {2, capstanv1.ReasonWaitingForMachines, "1 of 3 nodes ready; the roll-out is paused"},
	} {
		t.Run(what, func(t *testing.T) {
			g, e := NewWithT(t), newEdited()
			e.pool.Spec.Rollout.Paused, e.pool.Spec.Replicas = true, ptr.To[int32](3)
			md := e.objects().Machines
			md.Status.Replicas, md.Status.AvailableReplicas, md.Status.UpToDateReplicas = ptr.To[int32](3), ptr.To(tc.available), ptr.To[int32](1)
			setStatus(&scope{pool: e.pool, cluster: e.wlc, deployment: md})
			g.Expect(e.pool.Status.Conditions).To(ContainElement(And(
				HaveField("Type", capstanv1.ReadyCondition), HaveField("Reason", tc.reason), HaveField("Message", HavePrefix(tc.message)),
			)))
		})
	}
}
