package placement_test

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/placement"
)

func TestWhyHereIsToldInALine(t *testing.T) {
	g := NewWithT(t)
	d, err := placement.Place(vm("c", placement.ControlPlane, "shop"), world(4, 2, racks("a", "a", "b", "b"), host(3, unschedulable(placement.HostDrains)),
		volume(1, faulted(placement.VolumeNoAccess)), func(s *placement.Snapshot) {
			s.Placements = []placement.Placement{{VM: "x", Group: "shop", Role: placement.ControlPlane, Host: "hv1", Disks: []placement.PlacedDisk{{Volume: "csv1"}}}}
		}))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv3"))
	g.Expect(d.Trace.WhyHere(1000)).To(Equal("3 of 4 hosts would do; failure domain apart: 1 host with 1 volume left; not taken: " +
		"csv2 on hv1: VolumeFault (NoAccess); csv2 on hv2: VolumeFault (NoAccess); csv2 on hv3: VolumeFault (NoAccess); hv4: HostDraining (host state)"))
}

func TestOfEqualsTheFirstIsTakenAndThatIsTold(t *testing.T) {
	g := NewWithT(t)
	d, err := placement.Place(worker("a"), world(2, 2))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Trace.WhyHere(1000)).To(Equal("2 of 2 hosts would do; of equals the first by name"))
}

func TestWhyNotIsToldOfEachHostAndVolume(t *testing.T) {
	g := NewWithT(t)
	_, err := placement.Place(worker("a"), world(3, 1, host(0, unschedulable(placement.HostSilent)), host(1, func(h *placement.Host) { h.MemoryMiB = 5120 }),
		volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 990 * gib })))
	g.Expect(unplaceable(t, err).Trace.WhyNot(1000)).To(Equal("hv1: HostUnreachable (host state); " +
		"hv2: OutOfMemory (memory: asked 4096 MiB, has 1024 MiB (hv2)); csv1 on hv3: OutOfStorage (asked 20 GiB, has 8 GiB)"))
}

func TestWhatIsToldIsBoundedAndSaysWhatIsMissing(t *testing.T) {
	snap := world(0, 1)
	for i := range 400 {
		snap.Hosts = append(snap.Hosts, placement.Host{Name: fmt.Sprintf("hv%03d", i), FailoverCluster: "fc", Unschedulable: placement.HostDrains, MemoryMiB: 65536})
	}
	_, err := placement.Place(worker("a"), snap)
	for _, limit := range []int{60, 500, 2000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			g := NewWithT(t)
			said := unplaceable(t, err).Trace.WhyNot(limit)
			g.Expect(len(said)).To(BeNumerically("<=", limit))
			g.Expect(said).To(MatchRegexp(`^hv000: HostDraining \(host state\).*; and \d+ more$`))
		})
	}
}
