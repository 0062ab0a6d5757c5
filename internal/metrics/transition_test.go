package metrics

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

const phaseSeconds = "capstan_phase_duration_seconds"

func TestAPhaseIsCountedOnceWhenItIsLeft(t *testing.T) {
	b := newBench(t)
	was := vm("")
	step := func(after time.Duration, is capstanv1.VMPhase, conditions ...metav1.Condition) {
		b.pass(after)
		next := vm(is, conditions...)
		b.set.statusWritten(was, next)
		was = next
	}
	step(100*time.Millisecond, capstanv1.VMPending)
	step(400*time.Millisecond, capstanv1.VMPlacing)
	step(time.Second, capstanv1.VMPlacing, condition("Placed", metav1.ConditionFalse, "OutOfCapacity", b.now))
	step(time.Second, capstanv1.VMCreating)
	step(3*time.Second, capstanv1.VMStarting)
	step(7*time.Second, capstanv1.VMRunning)
	step(11*time.Second, capstanv1.VMRunning, condition(capstanv1.SeedRetiredCondition, metav1.ConditionTrue, "Retired", b.now))
	b.Expect(b.seconds(phaseSeconds)).To(Equal(map[string]float64{
		"pending": 0.5, "placement": 2, "create": 3, "start": 7, "node": 11,
	}), "a phase that was passed at once does not count")
	b.Expect(b.values(phaseSeconds)).To(HaveEach(1.0))
	b.Expect(b.set.stopwatch.entered).To(BeEmpty(), "an object that has all it wants is forgotten")
}

func TestAPhaseThatAnEarlierManagerSawBeginIsTimedByTheStatus(t *testing.T) {
	b := newBench(t)
	b.pass(time.Hour)
	placed := condition(capstanv1.PlacedCondition, metav1.ConditionTrue, "Placed", b.now.Add(-20*time.Second))
	was := vm(capstanv1.VMCreating, placed)
	b.set.statusWritten(was, vm(capstanv1.VMStarting, placed))
	b.Expect(b.seconds(phaseSeconds)).To(Equal(map[string]float64{"create": 20}))
}

func TestADeletionIsTimedUntilTheObjectIsGone(t *testing.T) {
	b := newBench(t)
	b.pass(time.Hour)
	deleted := vm(capstanv1.VMRunning)
	deleted.DeletionTimestamp = &metav1.Time{Time: b.now}
	b.pass(time.Second)
	deleting := deleted.DeepCopy()
	deleting.Status.Phase = capstanv1.VMDeleting
	b.set.statusWritten(deleted, deleting)
	b.pass(4 * time.Second)
	b.set.gone(deleting)
	b.Expect(b.seconds(phaseSeconds)).To(Equal(map[string]float64{"deleting": 5}))
	b.Expect(b.set.stopwatch.entered).To(BeEmpty())

	b.set.gone(deleting)
	b.Expect(b.values(phaseSeconds)).To(Equal(map[string]float64{"VirtualMachine deleting": 1}), "a stale cache may show it again")
}

func TestTheStopwatchIsBounded(t *testing.T) {
	b := newBench(t)
	for i := range maxWatched + 10 {
		o := vm(capstanv1.VMPlacing)
		o.UID = types.UID(fmt.Sprint(i))
		b.set.stopwatch.move(o, phasePlace, phasePlace, b.now)
	}
	b.Expect(b.set.stopwatch.entered).To(HaveLen(maxWatched))
}

func TestEveryChangeOfStatusOrReasonIsCounted(t *testing.T) {
	b := newBench(t)
	write := func(was, is metav1.Condition) {
		before, after := &capstanv1.VMImage{}, &capstanv1.VMImage{}
		before.Status.Conditions, after.Status.Conditions = []metav1.Condition{was}, []metav1.Condition{is}
		b.set.statusWritten(before, after)
	}
	unset := condition("Other", metav1.ConditionTrue, "Other", noon)
	waiting := condition("Ready", metav1.ConditionFalse, "WaitingForHost", noon)
	staging := condition("Ready", metav1.ConditionFalse, "StagingImage", noon)
	ready := condition("Ready", metav1.ConditionTrue, "Ready", noon)
	longer := staging
	longer.Message = "another message"
	write(unset, waiting)
	write(waiting, staging)
	write(staging, longer)
	write(longer, ready)
	write(ready, waiting)
	b.Expect(b.values("capstan_condition_transitions_total")).To(Equal(map[string]float64{
		"Ready VMImage WaitingForHost False": 2,
		"Ready VMImage StagingImage False":   1,
		"Ready VMImage Ready True":           1,
	}))
	b.Expect(b.values(phaseSeconds)).To(BeEmpty(), "the kind has no phases")
}
