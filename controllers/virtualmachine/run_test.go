package virtualmachine

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAGuestThatTakesItsTimeIsAskedLessOften(t *testing.T) {
	for name, tc := range map[string]struct {
		status metav1.ConditionStatus
		booted time.Duration
		want   time.Duration
	}{
		"it was just started":         {metav1.ConditionFalse, 0, 500 * time.Millisecond},
		"it may be up at any moment":  {metav1.ConditionFalse, 4 * time.Second, 500 * time.Millisecond},
		"it takes its time":           {metav1.ConditionFalse, 20 * time.Second, 2 * time.Second},
		"it takes long":               {metav1.ConditionFalse, time.Hour, 5 * time.Second},
		"it ran until a moment ago":   {metav1.ConditionTrue, time.Hour, 500 * time.Millisecond},
		"nothing is known of it yet":  {"", 0, 500 * time.Millisecond},
		"its host could not be asked": {metav1.ConditionUnknown, 30 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
			r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(start.Add(tc.booted))}
			vm := &capstanv1.VirtualMachine{}
			if tc.status != "" {
				vm.Status.Conditions = []metav1.Condition{{
					Type: capstanv1.RunningCondition, Status: tc.status, LastTransitionTime: metav1.NewTime(start),
				}}
			}
			NewWithT(t).Expect(r.guestPoll(vm)).To(Equal(tc.want))
		})
	}
}

// powered is an agent that is only told to start a VM.
type powered struct {
	hostapi.Agent
	times int
}

func (p *powered) SetPower(context.Context, hostapi.SetPowerRequest) (hostapi.VM, error) {
	p.times++
	return hostapi.VM{State: hostapi.StateStarting}, nil
}

// A status that is worked out from a stale object is refused, and worked out anew. What
// was done meanwhile must not keep it from being told then.
func TestThatAVMWasFoundOffIsToldBeforeItIsStartedAgain(t *testing.T) {
	g := NewWithT(t)
	agent := &powered{}
	stored := &capstanv1.VirtualMachine{Status: capstanv1.VirtualMachineStatus{
		Phase: capstanv1.VMRunning, Conditions: []metav1.Condition{{Type: capstanv1.SeedRetiredCondition, Status: metav1.ConditionTrue}},
	}}
	round := func() *capstanv1.VirtualMachine {
		vm := stored.DeepCopy()
		s := &scope{
			vm: vm, was: vm.Status.Phase, phase: capstanv1.VMStarting, at: &capstanv1.HyperVHost{}, agent: agent,
			seen: &hostapi.VM{State: hostapi.StateOff},
		}
		var err error
		s.wait, err = (&Reconciler{}).start(t.Context(), s)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(s.wait.reason).To(Equal(capstanv1.ReasonPoweredOff))
		setStatus(s)
		return vm
	}
	for range 3 {
		// None of these is written.
		round()
		g.Expect(agent.times).To(BeZero())
	}
	stored = round()
	round()
	g.Expect(agent.times).To(Equal(1))
}
