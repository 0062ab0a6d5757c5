package virtualmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/placement"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func host(name string, memory string) capstanv1.HyperVHost {
	h := capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}}
	quantity := resource.MustParse(memory)
	h.Status.Memory, h.Status.MemoryFree, h.Status.Processors = &quantity, &quantity, 64
	h.Status.Switches = []string{"vSwitch"}
	h.Status.Volumes = []capstanv1.HostVolume{{Name: "csv1", Capacity: resource.MustParse("1Ti"), Free: resource.MustParse("1Ti")}}
	conditions.True(&h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	return h
}

func machine(name string) *capstanv1.VirtualMachine {
	return &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)},
		Spec: capstanv1.VirtualMachineSpec{
			Role: capstanv1.RoleWorker,
			Size: capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("6Gi"), BootDisk: resource.MustParse("40Gi")},
		},
	}
}

func asked(vm *capstanv1.VirtualMachine) placement.Request {
	image := &capstanv1.VMImage{Spec: capstanv1.VMImageSpec{SHA256: "a", Source: "s", Size: resource.MustParse("20Gi")}}
	return request(&scope{vm: vm, image: image})
}

func never(string) time.Time { return time.Time{} }

func TestADecisionCountsBeforeTheCacheShowsIt(t *testing.T) {
	g := NewWithT(t)
	p := newPlacer(never)
	hosts := []capstanv1.HyperVHost{host("hv1", "8Gi"), host("hv2", "8Gi")}
	vms := []capstanv1.VirtualMachine{*machine("a"), *machine("b"), *machine("c")}

	first, err := p.place(&vms[0], asked(&vms[0]), hosts, vms)
	g.Expect(err).NotTo(HaveOccurred())
	second, err := p.place(&vms[1], asked(&vms[1]), hosts, vms)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.Host).NotTo(Equal(first.Host), "6 GiB fit only once into 8")
	_, err = p.place(&vms[2], asked(&vms[2]), hosts, vms)
	g.Expect(err).To(HaveField("Reason", placement.OutOfMemory))

	p.forget(client.ObjectKeyFromObject(&vms[0]))
	third, err := p.place(&vms[2], asked(&vms[2]), hosts, vms)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(third.Host).To(Equal(first.Host), "a decision that could not be recorded leaves its room")
}

func TestAVMIsInFlightUntilItsHostWasObservedAfterIt(t *testing.T) {
	place := &capstanv1.Placement{Host: "hv1"}
	for _, tc := range []struct {
		name     string
		phase    capstanv1.VMPhase
		made     time.Time
		observed time.Time
		want     bool
	}{
		{"not made yet", capstanv1.VMCreating, time.Time{}, noon, true},
		{"made after the report", capstanv1.VMStarting, noon, noon.Add(-time.Second), true},
		{"made at the moment of the report", capstanv1.VMStarting, noon, noon, true},
		{"made before the report", capstanv1.VMStarting, noon, noon.Add(time.Second), false},
		{"made before this process began", capstanv1.VMRunning, time.Time{}, noon, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			p := newPlacer(func(string) time.Time { return tc.observed })
			vm := machine("a")
			vm.Spec.Placement, vm.Status.Phase = place, tc.phase
			if !tc.made.IsZero() {
				p.standsSince(client.ObjectKeyFromObject(vm), tc.made)
			}
			g.Expect(p.inFlight(vm, capstanv1.StorageReporters([]capstanv1.HyperVHost{host("hv1", "8Gi")}))).To(Equal(tc.want))
		})
	}
}

func TestAFailoverClusterIsReportedByAMemberThatAnswers(t *testing.T) {
	g := NewWithT(t)
	silent, answers := host("hv1", "8Gi"), host("hv2", "8Gi")
	silent.Status.FailoverCluster, answers.Status.FailoverCluster = "fc1", "fc1"
	conditions.False(&silent, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
	g.Expect(capstanv1.StorageReporters([]capstanv1.HyperVHost{silent, answers})["cluster/fc1"].Name).To(Equal("hv2"))
}

func TestOnlyTheMembersOfItsFailoverClusterSpeakForAVM(t *testing.T) {
	member, other, alone := host("hv1", "8Gi"), host("hv2", "8Gi"), host("hv3", "8Gi")
	member.Status.FailoverCluster, other.Status.FailoverCluster = "fc1", "fc1"
	lost := host("hv0", "8Gi")
	lost.Status.FailoverCluster, lost.Spec.Lost = "fc1", true
	hosts := []capstanv1.HyperVHost{lost, member, other, alone}
	for _, tc := range []struct {
		name  string
		place capstanv1.Placement
		on    string
		want  []string
	}{
		{"clustered", capstanv1.Placement{Host: "hv1", FailoverCluster: "fc1"}, "hv1", []string{"hv1", "hv2"}},
		{"moved", capstanv1.Placement{Host: "hv1", FailoverCluster: "fc1"}, "hv2", []string{"hv2", "hv1"}},
		{"placed on a host that is lost", capstanv1.Placement{Host: "hv0", FailoverCluster: "fc1"}, "hv0", []string{"hv1", "hv2"}},
		{"alone", capstanv1.Placement{Host: "hv3"}, "hv3", []string{"hv3"}},
		{"host gone", capstanv1.Placement{Host: "hv9"}, "hv9", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			vm := machine("a")
			vm.Spec.Placement, vm.Status.Host = &tc.place, tc.on
			var names []string
			for _, h := range speakers(vm, hosts) {
				names = append(names, h.Name)
			}
			g.Expect(names).To(Equal(tc.want))
		})
	}
}

func TestMemoryIsRoundedUpToTwoMebibytes(t *testing.T) {
	g := NewWithT(t)
	for in, want := range map[string]int64{"2Gi": 2048, "1": 2, "3Mi": 4, "4Mi": 4, "4097Ki": 6} {
		g.Expect(memoryMiB(resource.MustParse(in))).To(Equal(want), in)
	}
}
