package hypervmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestWhatWasAskedBeforeAHoldIsTakenBackBeforeItsHealthCheckIsSentAway(t *testing.T) {
	for name, node := range map[string]etcd{"its node is ready": works, "its node went in the outage": dead} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			machine := &membersWith(node)[0]
			machine.Annotations = map[string]string{clusterv1.RemediateMachineAnnotation: capstanv1.ReasonVolumeFault}
			conditions.False(machine, clusterv1.MachineHealthCheckSucceededCondition, clusterv1.MachineHealthCheckHasRemediateAnnotationReason, "")
			r, key := &Reconciler{Client: testenv.NewUnsortedClient(t, machine)}, client.ObjectKeyFromObject(machine)
			s := &scope{machine: &clusterv1.Machine{}, held: &outage.Hold{}}
			settles := func() map[string]string {
				g.Expect(r.Client.Get(t.Context(), key, s.machine)).To(Succeed())
				g.Expect(r.settle(t.Context(), s, "")).To(Succeed())
				g.Expect(r.Client.Get(t.Context(), key, s.machine)).To(Succeed())
				return s.machine.Annotations
			}
			g.Expect(settles()).To(BeEmpty())
			g.Expect(settles()).To(BeEmpty(), "it has not looked yet")
			conditions.True(s.machine, clusterv1.MachineHealthCheckSucceededCondition, clusterv1.MachineHealthCheckSucceededReason, "")
			g.Expect(r.Client.Update(t.Context(), s.machine)).To(Succeed())
			g.Expect(settles()).To(Equal(map[string]string{clusterv1.MachineSkipRemediationAnnotation: capstanv1.ReasonRepairHeld}))
		})
	}
}

func TestAHoldOutlastsWhatTheOutageLeavesBehindForAMoment(t *testing.T) {
	for name, tc := range map[string]struct {
		fault time.Duration
		held  bool
	}{
		"a volume that is not back yet":     {fault: time.Minute, held: true},
		"a volume that should long be back": {fault: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := ofVM(hostWith("hv1", testenv.Answering(ago(time.Minute)), testenv.WithFault("NoAccess", ago(tc.fault))))
			machine := &membersWith(dead)[0]
			machine.Labels = nil
			machine.Annotations = map[string]string{clusterv1.MachineSkipRemediationAnnotation: capstanv1.ReasonRepairHeld}
			r := &Reconciler{Client: testenv.NewUnsortedClient(t, machine)}
			s := &scope{machine: &clusterv1.Machine{}, infra: &infrav1.HyperVMachine{}}
			key := client.ObjectKeyFromObject(machine)
			g.Expect(r.Client.Get(t.Context(), key, s.machine)).To(Succeed())
			e.machine = s.machine
			g.Expect(r.repairFor(t.Context(), s, e, causeOf(e), nil)).To(Succeed())
			g.Expect(r.Client.Get(t.Context(), key, s.machine)).To(Succeed())
			if tc.held {
				g.Expect(s.machine.Annotations).To(HaveKey(clusterv1.MachineSkipRemediationAnnotation))
			} else {
				g.Expect(s.machine.Annotations).NotTo(HaveKey(clusterv1.MachineSkipRemediationAnnotation))
			}
		})
	}
}
