package virtualmachine

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestWhatAConsoleTellsIsWrittenOnlyIfItIsNews(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	told := func(state capstanv1.GuestInitialization, stage string, ago time.Duration) *capstanv1.GuestReport {
		return &capstanv1.GuestReport{Initialization: state, Stage: stage, ObservedTime: metav1.NewTime(now.Add(-ago))}
	}
	running := hostapi.GuestInit{State: hostapi.InitRunning, Stage: "init"}
	for name, tc := range map[string]struct {
		told  *capstanv1.GuestReport
		init  hostapi.GuestInit
		takes time.Duration
		want  bool
	}{
		"a guest that boots":              {nil, running, time.Minute, false},
		"a guest without a console":       {nil, hostapi.GuestInit{}, time.Minute, false},
		"a guest that takes long":         {nil, running, slowGuest, true},
		"a guest that has failed":         {nil, hostapi.GuestInit{State: hostapi.InitFailed}, 0, true},
		"a guest that has failed already": {told("Failed", "", time.Minute), hostapi.GuestInit{State: hostapi.InitFailed}, time.Hour, false},
		"a guest that goes on slowly":     {told("Running", "init-local", time.Minute), running, time.Hour, true},
		"a guest that hangs":              {told("Running", "init", time.Minute), running, time.Hour, false},
		"a guest that hangs for long":     {told("Running", "init", readAgain), running, time.Hour, true},
		"a guest that is repaired":        {told("Failed", "init", time.Minute), hostapi.GuestInit{State: hostapi.InitDone}, time.Hour, true},
		"what a later agent knows":        {told("", "", time.Minute), hostapi.GuestInit{State: "Dreaming"}, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(now)}
			vm := &capstanv1.VirtualMachine{}
			vm.Status.Guest = tc.told
			vm.Status.Conditions = []metav1.Condition{{
				Type: capstanv1.RunningCondition, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-tc.takes)),
			}}
			NewWithT(t).Expect(r.isNews(vm, tc.init)).To(Equal(tc.want))
		})
	}
}

// secretReads counts how often the seed's Secret is read past the cache.
type secretReads struct {
	client.Reader
	count int
}

func (r *secretReads) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	r.count++
	obj.(*corev1.Secret).Data = map[string][]byte{bootstrapKey: []byte("#cloud-config")}
	return nil
}

func TestAGuestThatHangsIsReadOnceInAWhile(t *testing.T) {
	g := NewWithT(t)
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))
	reads := &secretReads{}
	r := &Reconciler{Clock: clock, Live: reads}
	began := metav1.NewTime(clock.Now().Add(-time.Hour))
	poll := func(vm *capstanv1.VirtualMachine) {
		r.reportGuest(t.Context(), &scope{vm: vm, phase: capstanv1.VMRunning, at: &capstanv1.HyperVHost{}, seen: &hostapi.VM{
			State: hostapi.StateRunning, Init: hostapi.GuestInit{State: hostapi.InitRunning, Stage: "init"}, Console: []string{"it hangs"},
		}})
	}
	hanging := func(uid types.UID) *capstanv1.VirtualMachine {
		vm := &capstanv1.VirtualMachine{}
		vm.UID, vm.Spec.BootstrapSecret = uid, "seed"
		vm.Status.Conditions = []metav1.Condition{{Type: capstanv1.RunningCondition, Status: metav1.ConditionTrue, LastTransitionTime: began}}
		return vm
	}
	vm := hanging("a")
	poll(vm)
	g.Expect(vm.Status.Guest.Console).To(Equal([]string{"it hangs"}))
	told := *vm.Status.Guest
	for range 4 * int(readAgain/time.Minute) {
		clock.Step(time.Minute)
		poll(vm)
	}
	g.Expect(*vm.Status.Guest).To(Equal(told))
	g.Expect(reads.count).To(Equal(1 + 4))

	g.Expect(r.guests.last).To(HaveLen(1))
	clock.Step(readAgain)
	poll(hanging("b"))
	g.Expect(r.guests.last).To(And(HaveLen(1), HaveKey(types.UID("b"))), "a VM that is gone is forgotten")
}

func TestWhatWasToldOfAGuestEndsWithItsUse(t *testing.T) {
	report := &capstanv1.GuestReport{Initialization: capstanv1.GuestInitializationFailed}
	up := &hostapi.VM{State: hostapi.StateRunning}
	for name, tc := range map[string]struct {
		scope scope
		want  *capstanv1.GuestReport
	}{
		"it is what it shall be":           {scope{phase: capstanv1.VMRunning, seen: up, vm: &capstanv1.VirtualMachine{Spec: capstanv1.VirtualMachineSpec{RetireSeed: true}}}, nil},
		"its VM is made again":             {scope{phase: capstanv1.VMCreating, vm: &capstanv1.VirtualMachine{}}, nil},
		"its host does not answer":         {scope{phase: capstanv1.VMRunning, vm: &capstanv1.VirtualMachine{}}, report},
		"it is off":                        {scope{phase: capstanv1.VMStarting, seen: &hostapi.VM{State: hostapi.StateOff}, vm: &capstanv1.VirtualMachine{}}, report},
		"somebody else wrote it meanwhile": {scope{stale: true, vm: &capstanv1.VirtualMachine{}}, report},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.scope
			s.vm.Status.Guest = report
			(&Reconciler{Clock: clocktesting.NewFakePassiveClock(time.Now())}).reportGuest(t.Context(), &s)
			NewWithT(t).Expect(s.vm.Status.Guest).To(Equal(tc.want))
		})
	}
}

func TestAGuestThatHasNotJoinedIsLookedAtEverLessOften(t *testing.T) {
	now := time.Now()
	r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(now)}
	for takes, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 100 * time.Second: 10 * time.Second, time.Hour: 30 * time.Second} {
		vm := &capstanv1.VirtualMachine{}
		vm.Status.Conditions = []metav1.Condition{{Type: capstanv1.RunningCondition, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-takes))}}
		NewWithT(t).Expect(r.joinPoll(vm)).To(Equal(want))
	}
}
