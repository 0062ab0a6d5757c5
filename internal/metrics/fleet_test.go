package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func named(name string, conditions ...metav1.Condition) *capstanv1.VirtualMachine {
	o := vm("", conditions...)
	o.Name = name
	return o
}

func TestObjectsThatWaitAreCountedByTheirReason(t *testing.T) {
	b := newBench(t)
	full := func(since time.Duration) metav1.Condition {
		return condition("Ready", metav1.ConditionFalse, "OutOfCapacity", noon.Add(-since))
	}
	b.follow(t, true,
		named("a", full(time.Minute)), named("b", full(time.Hour)),
		named("c", condition("Ready", metav1.ConditionTrue, "Ready", noon)),
		named("d", condition("Ready", metav1.ConditionUnknown, "HostUnreachable", noon.Add(-time.Second))),
		&capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "e", CreationTimestamp: metav1.NewTime(noon.Add(-3 * time.Second))}},
	)
	b.Expect(b.values("capstan_waiting_objects")).To(Equal(map[string]float64{
		"VirtualMachine OutOfCapacity": 2, "VirtualMachine HostUnreachable": 1, "NodePool None": 1,
	}))
	b.Expect(b.values("capstan_longest_wait_seconds")).To(Equal(map[string]float64{
		"VirtualMachine OutOfCapacity": 3600, "VirtualMachine HostUnreachable": 1, "NodePool None": 3,
	}))

	b.follow(t, true)
	b.Expect(b.values("capstan_waiting_objects")).To(BeEmpty(), "what is gone leaves no series")
}

func TestHostsAreCountedByWhetherTheyAnswer(t *testing.T) {
	b := newBench(t)
	host := func(name string, status metav1.ConditionStatus) *capstanv1.HyperVHost {
		return &capstanv1.HyperVHost{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     capstanv1.HyperVHostStatus{Conditions: []metav1.Condition{condition("AgentConnected", status, "Any", noon)}},
		}
	}
	b.follow(t, true)
	b.Expect(b.values("capstan_hosts")).To(Equal(map[string]float64{"true": 0, "false": 0}), "an alert needs a series to look at")
	b.follow(t, true, host("a", metav1.ConditionTrue), host("b", metav1.ConditionTrue), host("c", metav1.ConditionFalse), host("d", metav1.ConditionUnknown))
	b.Expect(b.values("capstan_hosts")).To(Equal(map[string]float64{"true": 2, "false": 2}))
}

func TestAManagerThatIsNotElectedCountsNothing(t *testing.T) {
	b := newBench(t)
	b.Expect(b.values("capstan_hosts")).To(BeEmpty(), "nor does a process without a manager")
	b.follow(t, false, named("a"))
	b.Expect(b.values("capstan_waiting_objects")).To(BeEmpty())
	b.Expect(b.values("capstan_hosts")).To(BeEmpty())
}

// partial is a reader that fails for one kind.
type partial struct{ client.Reader }

func (p partial) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*capstanv1.NodePoolList); ok {
		return errors.New("the cache is not filled yet")
	}
	return p.Reader.List(ctx, list, opts...)
}

func TestAKindThatCannotBeListedDoesNotSpoilTheScrape(t *testing.T) {
	b := newBench(t)
	b.follow(t, true, named("a"))
	s := *b.set.fleet.source.Load()
	s.reader = partial{s.reader}
	b.set.fleet.source.Store(&s)
	b.Expect(b.values("capstan_waiting_objects")).To(Equal(map[string]float64{"VirtualMachine None": 1}))
}
