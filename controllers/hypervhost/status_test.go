package hypervhost

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func unreachable(why error) error {
	if why == nil {
		return hostapi.Errorf(hostapi.HostUnreachable, "Hello", "", "no answer")
	}
	return hostapi.Errorf(hostapi.HostUnreachable, "Hello", "", "agent: %w", why)
}

func TestEveryWayNotToBeConnectedHasItsReason(t *testing.T) {
	for reason, err := range map[string]error{
		capstanv1.ReasonWaitingForEnrolment:      &noTokenError{"no token"},
		capstanv1.ReasonEnrolmentFailed:          &enrolmentError{errors.New("no")},
		capstanv1.ReasonHostUnreachable:          unreachable(nil),
		capstanv1.ReasonAgentCertificateMismatch: unreachable(hostapi.ErrCertificateMismatch),
		capstanv1.ReasonAgentIncompatible:        unreachable(hostapi.ErrNoCommonProtocol),
	} {
		t.Run(reason, func(t *testing.T) {
			g := NewWithT(t)
			host := &capstanv1.HyperVHost{}
			conditions.True(host, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
			host.Status.Volumes = []capstanv1.HostVolume{{Name: "csv1"}}
			setStatus(&scope{host: host, err: err})
			for _, c := range []string{capstanv1.AgentConnectedCondition, capstanv1.ReadyCondition} {
				g.Expect(conditions.Get(host, c)).To(SatisfyAll(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason)))
			}
			g.Expect(conditions.Get(host, capstanv1.ReadyCondition).Message).To(ContainSubstring("since"))
			g.Expect(host.Status.Volumes).To(HaveLen(1), "what was last known stays")
		})
	}
}

func TestAnErrorOfTheAPIServerSaysNothingOfTheAgent(t *testing.T) {
	g := NewWithT(t)
	host := &capstanv1.HyperVHost{}
	conditions.True(host, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	setStatus(&scope{host: host, err: errors.New("the API server is busy")})
	g.Expect(conditions.IsTrue(host, capstanv1.AgentConnectedCondition)).To(BeTrue())
}

func inventory(memoryFreeMiB, volumeFree int64) *hostapi.Inventory {
	return &hostapi.Inventory{
		Host: "hv1", Processors: 8, MemoryMiB: 1 << 20, MemoryFreeMiB: memoryFreeMiB,
		Volumes: []hostapi.Volume{{Name: "csv1", Bytes: 1 << 40, FreeBytes: volumeFree}},
		Images: []hostapi.Image{
			{ImageRef: hostapi.ImageRef{SHA256: "b"}, Volume: "csv1"},
			{ImageRef: hostapi.ImageRef{SHA256: "a"}, Volume: "csv1"},
			{ImageRef: hostapi.ImageRef{SHA256: "c"}, Volume: "csv1", Operation: &hostapi.Operation{}},
			{ImageRef: hostapi.ImageRef{SHA256: "d"}, Volume: "csv2"},
		},
	}
}

func TestFiguresThatMoveByThemselvesAreNotWrittenAllTheTime(t *testing.T) {
	g := NewWithT(t)
	status := &capstanv1.HyperVHostStatus{}
	setInventory(status, inventory(1<<19, 1<<39), noon)
	before := status.DeepCopy()
	setInventory(status, inventory(1<<19+100, 1<<39-1<<20), noon)
	g.Expect(status).To(Equal(before))
	setInventory(status, inventory(1<<18, 1<<38), noon)
	g.Expect(status.MemoryFree.Value()).To(Equal(int64(1 << 38)))
	g.Expect(status.Volumes[0].Free.Value()).To(Equal(int64(1 << 38)))
}

func TestAnImageThatIsBeingStagedIsNotStaged(t *testing.T) {
	g := NewWithT(t)
	status := &capstanv1.HyperVHostStatus{}
	setInventory(status, inventory(1, 1), noon)
	g.Expect(status.Volumes[0].Images).To(Equal([]string{"a", "b"}))
}

func TestOnlyWhoSpeaksForThePlaceConfirmsATombstone(t *testing.T) {
	member, other, alone := &capstanv1.HyperVHost{}, &capstanv1.HyperVHost{}, &capstanv1.HyperVHost{}
	member.Name, other.Name, alone.Name = "hv1", "hv2", "hv3"
	member.Status.FailoverCluster, other.Status.FailoverCluster = "fc1", "fc1"
	for _, tc := range []struct {
		name string
		spec capstanv1.TombstoneSpec
		host *capstanv1.HyperVHost
		want bool
	}{
		{"the host itself", capstanv1.TombstoneSpec{Host: "hv3"}, alone, true},
		{"another host", capstanv1.TombstoneSpec{Host: "hv3"}, member, false},
		{"another member", capstanv1.TombstoneSpec{Host: "hv1", FailoverCluster: "fc1"}, other, true},
		{"a host that left the failover cluster", capstanv1.TombstoneSpec{Host: "hv3", FailoverCluster: "fc1"}, alone, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			NewWithT(t).Expect(concerns(&capstanv1.Tombstone{Spec: tc.spec}, tc.host)).To(Equal(tc.want))
		})
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestAFaultLastsUntilTheVolumeIsWellOrWithinReach(t *testing.T) {
	g := NewWithT(t)
	status := &capstanv1.HyperVHostStatus{}
	look := func(fault hostapi.VolumeFault, minute int) *metav1.Time {
		seen := inventory(1, 1)
		seen.Volumes[0].Fault = fault
		setInventory(status, seen, noon.Add(time.Duration(minute)*time.Minute))
		return status.Volumes[0].FaultSince
	}
	minute := func(n int) types.GomegaMatcher {
		return HaveField("Time", noon.Add(time.Duration(n)*time.Minute))
	}
	g.Expect(look(hostapi.VolumeHealthy, 0)).To(BeNil())
	g.Expect(look(hostapi.VolumeRedirected, 1)).To(minute(1))
	g.Expect(look(hostapi.VolumeRedirected, 2)).To(minute(1))
	g.Expect(look(hostapi.VolumeNoAccess, 3)).To(minute(3), "redirected is within reach")
	g.Expect(look(hostapi.VolumeDismounted, 4)).To(minute(3), "it is out of reach all along")
	g.Expect(look(hostapi.VolumeHealthy, 5)).To(BeNil())
	g.Expect(look(hostapi.VolumeDismounted, 6)).To(minute(6))
}

func TestTheTimeOfTheLastAnswerCostsFewWrites(t *testing.T) {
	g := NewWithT(t)
	host := &capstanv1.HyperVHost{}
	answered := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	look := func(at time.Time, err error) time.Time {
		s := &scope{host: host, answered: at, err: err}
		if err == nil {
			s.hello = &hostapi.Hello{Host: "hv1"}
		}
		setStatus(s)
		return host.Status.Agent.LastAnswerTime.Time
	}
	g.Expect(look(answered(0), nil)).To(Equal(noon))
	g.Expect(look(answered(4), nil)).To(Equal(noon), "it is not old yet")
	g.Expect(look(answered(5), nil)).To(Equal(answered(5)))
	g.Expect(look(answered(7), unreachable(nil))).To(Equal(answered(7)), "it is silent from then on")
	before := host.DeepCopy()
	g.Expect(look(answered(7), unreachable(nil))).To(Equal(answered(7)))
	g.Expect(host).To(Equal(before))
	g.Expect(look(time.Time{}, unreachable(nil))).To(Equal(answered(7)), "a manager that has heard nothing knows no better")
}
