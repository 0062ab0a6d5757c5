package hypervmachine

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func withCluster(name string) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) { h.Status.FailoverCluster = name }
}

func hostWith(name string, with ...func(*capstanv1.HyperVHost)) capstanv1.HyperVHost {
	return *testenv.NewHyperVHost(name, with...)
}

// ofVM is what is known at noon of a machine whose VM is on hv1, which this manager has
// watched for a day.
func ofVM(hosts ...capstanv1.HyperVHost) *evidence {
	cluster := &clusterv1.Cluster{}
	conditions.True(cluster, clusterv1.ClusterRemoteConnectionProbeCondition, clusterv1.ClusterRemoteConnectionProbeSucceededReason, "")
	machine := &clusterv1.Machine{}
	machine.Status.NodeRef.Name = "shop-1"
	return &evidence{
		machine: machine, cluster: cluster, hosts: hosts, now: noon, watched: noon.Add(-24 * time.Hour),
		timeouts: outage.Timeouts{HostLoss: 8 * time.Minute, VolumeFault: 3 * time.Minute, Hold: 30 * time.Minute},
		vm: &capstanv1.VirtualMachine{Spec: capstanv1.VirtualMachineSpec{Placement: &capstanv1.Placement{
			Host: "hv1", Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "Volume1"}},
		}}},
	}
}

func (e *evidence) node(status metav1.ConditionStatus, reason string, since time.Time) *evidence {
	e.machine.Status.Conditions = []metav1.Condition{{
		Type: clusterv1.MachineNodeReadyCondition, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(since),
	}}
	return e
}

func (e *evidence) inFailoverCluster(name string) *evidence {
	e.vm.Spec.Placement.FailoverCluster = name
	return e
}

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func TestAHostIsPresumedLostOnlyIfNeitherItNorTheNodeIsHeardOf(t *testing.T) {
	const (
		notReady = clusterv1.MachineNodeNotReadyReason
		unknown  = clusterv1.MachineNodeReadyUnknownReason
	)
	long, short := ago(time.Hour), ago(5*time.Minute)
	for name, tc := range map[string]struct {
		of *evidence
		// due is how long after noon it is to be replaced, never if it is negative.
		due time.Duration
	}{
		"both are silent for long":                   {ofVM(hostWith("hv1", testenv.Silent(long))).node(metav1.ConditionUnknown, unknown, long), 0},
		"the host is silent for a short while":       {ofVM(hostWith("hv1", testenv.Silent(short))).node(metav1.ConditionUnknown, unknown, long), 3 * time.Minute},
		"the node is not ready for a short while":    {ofVM(hostWith("hv1", testenv.Silent(long))).node(metav1.ConditionFalse, notReady, short), 3 * time.Minute},
		"the host alone is silent":                   {ofVM(hostWith("hv1", testenv.Silent(long))).node(metav1.ConditionTrue, clusterv1.MachineNodeReadyReason, long), -1},
		"the node alone is not ready":                {ofVM(hostWith("hv1", testenv.Answering(long))).node(metav1.ConditionFalse, notReady, long), -1},
		"nobody can ask for the node":                {ofVM(hostWith("hv1", testenv.Silent(long))).node(metav1.ConditionUnknown, clusterv1.MachineNodeConnectionDownReason, long), -1},
		"nothing is known of the node":               {ofVM(hostWith("hv1", testenv.Silent(long))), -1},
		"somebody answers for the host, but not it":  {ofVM(hostWith("hv1", testenv.Refusing(capstanv1.ReasonAgentCertificateMismatch, long))).node(metav1.ConditionUnknown, unknown, long), -1},
		"no HyperVHost is there":                     {ofVM(hostWith("hv2", testenv.Silent(long))).node(metav1.ConditionUnknown, unknown, long), -1},
		"another node of its failover cluster talks": {ofVM(hostWith("hv1", withCluster("fc"), testenv.Silent(long)), hostWith("hv2", withCluster("fc"), testenv.Answering(long))).inFailoverCluster("fc").node(metav1.ConditionUnknown, unknown, long), -1},
		"all of its failover cluster is silent": {
			ofVM(hostWith("hv1", withCluster("fc"), testenv.Silent(long)), hostWith("hv2", withCluster("fc"), testenv.Silent(short))).inFailoverCluster("fc").node(metav1.ConditionUnknown, unknown, long), 3 * time.Minute,
		},
		"a host has not said yet whether it is of that failover cluster": {
			ofVM(hostWith("hv1", withCluster("fc"), testenv.Silent(long)), hostWith("hv2", func(h *capstanv1.HyperVHost) { h.Status.Memory = nil })).inFailoverCluster("fc").node(metav1.ConditionUnknown, unknown, long), -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := causeOf(tc.of)
			if tc.due < 0 {
				g.Expect(c).To(BeNil())
				return
			}
			g.Expect(c).NotTo(BeNil())
			g.Expect(c.reason).To(Equal(capstanv1.ReasonHostLost))
			g.Expect(c.status).To(Equal(metav1.ConditionUnknown), "nobody knows how the VM is")
			g.Expect(slices.MaxFunc([]time.Time{c.due, noon}, time.Time.Compare)).To(Equal(noon.Add(tc.due)))
		})
	}
}

func TestAClusterThatDoesNotAnswerTellsNothingOfItsNodes(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Silent(ago(time.Hour)))).node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, ago(time.Hour))
	conditions.False(e.cluster, clusterv1.ClusterRemoteConnectionProbeCondition, clusterv1.ClusterRemoteConnectionProbeFailedReason, "")
	g.Expect(causeOf(e)).To(BeNil())
}

func TestWhatBeganBeforeTheManagerDidIsReckonedFromThen(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Silent(ago(time.Hour)))).node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, ago(time.Hour))
	e.watched = ago(time.Minute)
	g.Expect(causeOf(e).due).To(Equal(noon.Add(7 * time.Minute)))
}

func TestLossIsNotPresumedWhereTheAdministratorForbidsIt(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Silent(ago(time.Hour)))).node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, ago(time.Hour))
	e.timeouts.HostLoss = -1
	g.Expect(causeOf(e)).To(BeNil())
}

func TestAMachineIsReplacedForAVolumeThatItsHostCannotRead(t *testing.T) {
	for name, tc := range map[string]struct {
		hosts []capstanv1.HyperVHost
		due   time.Duration
	}{
		"dismounted for long":              {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("Dismounted", ago(time.Hour)))}, 0},
		"no access for long":               {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("NoAccess", ago(time.Hour)))}, 0},
		"no access for a short while":      {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("NoAccess", ago(time.Minute)))}, 2 * time.Minute},
		"redirected":                       {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("Redirected", ago(time.Hour)))}, -1},
		"in maintenance":                   {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("Maintenance", ago(time.Hour)))}, -1},
		"well":                             {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour)))}, -1},
		"its host is silent":               {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Silent(ago(time.Minute)), testenv.WithFault("NoAccess", ago(time.Hour)))}, -1},
		"another host's of the same name":  {[]capstanv1.HyperVHost{hostWith("hv1", testenv.Answering(ago(time.Hour))), hostWith("hv2", testenv.Answering(ago(time.Hour)), testenv.WithFault("NoAccess", ago(time.Hour)))}, -1},
		"nothing is known of its host yet": {[]capstanv1.HyperVHost{hostWith("hv1")}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := causeOf(ofVM(tc.hosts...))
			if tc.due < 0 {
				g.Expect(c).To(BeNil())
				return
			}
			g.Expect(c).NotTo(BeNil())
			g.Expect(c.reason).To(Equal(capstanv1.ReasonVolumeFault))
			g.Expect(c.message).To(ContainSubstring("Volume1"))
			g.Expect(slices.MaxFunc([]time.Time{c.due, noon}, time.Time.Compare)).To(Equal(noon.Add(tc.due)))
		})
	}
}

func TestAVolumeThatIsGoneCountsOnlyForAVMThatIsInTrouble(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Answering(ago(time.Hour)), func(h *capstanv1.HyperVHost) { h.Status.Volumes[0].Name = "Volume2" }))
	g.Expect(causeOf(e)).To(BeNil(), "nothing is known of the VM")
	conditions.True(e.vm, capstanv1.ReadyCondition, capstanv1.ReasonReady, "")
	g.Expect(causeOf(e)).To(BeNil(), "it may have been renamed")
	conditions.False(e.vm, capstanv1.ReadyCondition, capstanv1.ReasonVMFailed, "")
	testenv.ChangedAt(e.vm, capstanv1.ReadyCondition, ago(time.Hour))
	c := causeOf(e)
	g.Expect(c).NotTo(BeNil())
	g.Expect(c.message).To(Equal("host hv1 has no volume Volume1, where disk boot is"))
}

func TestAMachineIsReplacedForAVMThatHasBeenMissingForAWhile(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Answering(ago(time.Hour))))
	e.timeouts.MissingVM = time.Minute
	conditions.False(e.vm, capstanv1.ReadyCondition, capstanv1.ReasonVMNotFound, "it is not there")
	e.found(capstanv1.ReasonVMNotFound, ago(20*time.Second))
	g.Expect(causeOf(e).isDue(noon)).To(BeFalse(), "it may look so for a moment")
	g.Expect(causeOf(e).waits()).To(Equal("the machine is replaced at 2026-01-01T12:00:40Z unless that ends before"))
	e.found(capstanv1.ReasonVMNotFound, ago(2*time.Minute))
	g.Expect(causeOf(e).isDue(noon)).To(BeTrue())
	conditions.Unknown(e.vm, capstanv1.ReadyCondition, capstanv1.ReasonVMNotFound, "nobody can tell")
	g.Expect(causeOf(e)).To(BeNil())
}

func TestAVMIsNotTakenForMissingWhileItsNodeIsReady(t *testing.T) {
	long := ago(time.Hour)
	unreachable := func(e *evidence) *evidence {
		conditions.False(e.cluster, clusterv1.ClusterRemoteConnectionProbeCondition, clusterv1.ClusterRemoteConnectionProbeFailedReason, "")
		return e
	}
	ready := func() *evidence {
		return ofVM(hostWith("hv1", testenv.Answering(long))).node(metav1.ConditionTrue, clusterv1.MachineNodeReadyReason, long)
	}
	for name, tc := range map[string]struct {
		of  *evidence
		due bool
	}{
		"the node is ready":                 {of: ready()},
		"nobody can ask for the node":       {of: unreachable(ready()), due: true},
		"the node is not ready":             {of: ready().node(metav1.ConditionFalse, clusterv1.MachineNodeNotReadyReason, noon), due: true},
		"the node is not heard of any more": {of: ready().node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, noon), due: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			tc.of.timeouts.MissingVM = time.Minute
			conditions.False(tc.of.vm, capstanv1.ReadyCondition, capstanv1.ReasonVMNotFound, "it is not there")
			tc.of.found(capstanv1.ReasonVMNotFound, long)
			c := causeOf(tc.of)
			g.Expect(c.isDue(noon)).To(Equal(tc.due))
			if !tc.due {
				g.Expect(c.waits()).To(ContainSubstring("its node is ready all the same"))
				g.Expect(c.due).To(Equal(noon.Add(pollRepair)), "it is looked at again")
			}
		})
	}
}

// found is what was found of the machine before.
func (e *evidence) found(reason string, since time.Time) {
	e.fault = &infrav1.MachineFault{Reason: reason, Since: metav1.NewTime(since)}
}

func TestWhatWasWrongBeforeForAnotherReasonDoesNotCount(t *testing.T) {
	gone := func(h *capstanv1.HyperVHost) { h.Status.Volumes[0].Name = "Volume2" }
	for name, tc := range map[string]struct {
		host   func(*capstanv1.HyperVHost)
		is     string
		before func(*evidence)
		due    time.Duration
	}{
		"a VM that was off for an hour is not there": {host: testenv.Answering(ago(time.Hour)), is: capstanv1.ReasonVMNotFound, due: time.Minute},
		"a VM that had a faulted volume is not there": {
			host: testenv.Answering(ago(time.Hour)), is: capstanv1.ReasonVMNotFound, due: time.Minute,
			before: func(e *evidence) { e.found(capstanv1.ReasonVolumeFault, ago(time.Hour)) },
		},
		"a VM that has failed for an hour has no volume": {host: gone, is: capstanv1.ReasonVMFailed, due: 3 * time.Minute},
		"a volume has had a fault before it was gone": {
			host: gone, is: capstanv1.ReasonVMFailed, due: time.Minute,
			before: func(e *evidence) { e.found(capstanv1.ReasonVolumeFault, ago(2*time.Minute)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := ofVM(hostWith("hv1", testenv.Answering(ago(time.Hour)), tc.host))
			e.timeouts.MissingVM = time.Minute
			conditions.False(e.vm, capstanv1.ReadyCondition, tc.is, "")
			testenv.ChangedAt(e.vm, capstanv1.ReadyCondition, ago(time.Hour))
			if tc.before != nil {
				tc.before(e)
			}
			c := causeOf(e)
			g.Expect(c).NotTo(BeNil())
			g.Expect(c.due).To(Equal(noon.Add(tc.due)))
		})
	}
}

func TestAVMThatItsFailoverClusterMovedIsJudgedByItsNewHost(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(
		hostWith("hv1", withCluster("fc"), testenv.Answering(ago(time.Hour)), testenv.WithFault("NoAccess", ago(time.Hour))),
		hostWith("hv2", withCluster("fc"), testenv.Answering(ago(time.Hour))),
	).inFailoverCluster("fc")
	e.vm.Status.Host = "hv2"
	g.Expect(causeOf(e)).To(BeNil())
}
