package hypervmachine

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAVMTellsItsWayItselfUntilItIsHeldUp(t *testing.T) {
	now := time.Unix(1000, 0)
	onItsWay := "waiting for VirtualMachine shop-1 to run"
	for name, tc := range map[string]struct {
		ready           metav1.Condition
		reason, message string
		look            time.Duration
		host            string
	}{
		"a step": {
			metav1.Condition{Status: metav1.ConditionFalse, Reason: capstanv1.ReasonWaitingForAddress, Message: "an address", LastTransitionTime: metav1.NewTime(now.Add(-10 * time.Second))},
			capstanv1.ReasonWaitingForVirtualMachine, onItsWay, 20 * time.Second, "",
		},
		"a step that takes long": {
			metav1.Condition{Status: metav1.ConditionFalse, Reason: capstanv1.ReasonWaitingForAddress, Message: "an address", LastTransitionTime: metav1.NewTime(now.Add(-patience))},
			capstanv1.ReasonWaitingForAddress, "an address", 0, "hv1",
		},
		"a fault": {
			metav1.Condition{Status: metav1.ConditionFalse, Reason: capstanv1.ReasonOutOfCapacity, Message: "no room", LastTransitionTime: metav1.NewTime(now)},
			capstanv1.ReasonOutOfCapacity, "no room", 0, "hv1",
		},
		"what cannot be observed": {
			metav1.Condition{Status: metav1.ConditionUnknown, Reason: capstanv1.ReasonHostUnreachable, Message: "no answer", LastTransitionTime: metav1.NewTime(now)},
			capstanv1.ReasonHostUnreachable, "no answer", 0, "hv1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "shop-1"}}
			tc.ready.Type = capstanv1.ReadyCondition
			vm.Status.Conditions = []metav1.Condition{tc.ready}
			vm.Status.Host = "hv1"
			s := &scope{infra: &infrav1.HyperVMachine{}, vm: vm}
			setStatus(s, now)
			g.Expect(s.infra.Status.Host).To(Equal(tc.host), "where it is goes with what it tells")
			g.Expect(conditions.Get(s.infra, capstanv1.ReadyCondition)).To(HaveValue(And(
				HaveField("Status", tc.ready.Status), HaveField("Reason", tc.reason), HaveField("Message", tc.message),
			)))
			g.Expect(nextLook(s, now)).To(Equal(tc.look))

			s.err = errors.New("no connection")
			g.Expect(nextLook(s, now)).To(BeZero(), "an error is tried again anyway")
		})
	}
}

func TestWithoutAVMThereIsNothingToLookFor(t *testing.T) {
	NewWithT(t).Expect(nextLook(&scope{}, time.Unix(0, 0))).To(BeZero())
}
