package placement_test

import (
	"errors"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/placement"
)

const gib = int64(1) << 30

// world builds a failover cluster "fc" of hosts hv1.. with volumes csv1.., all
// alike and empty, and lets modifiers break it.
func world(hosts, volumes int, with ...func(*placement.Snapshot)) placement.Snapshot {
	snap := placement.Snapshot{}
	for i := range hosts {
		snap.Hosts = append(snap.Hosts, placement.Host{
			Name: name("hv", i), FailoverCluster: "fc",
			Processors: 32, MemoryMiB: 65536, ReservedMiB: 4096, Switches: []string{"lan"},
		})
	}
	for i := range volumes {
		snap.Volumes = append(snap.Volumes, placement.Volume{
			Name: name("csv", i), FailoverCluster: "fc", Bytes: 1000 * gib, FreeBytes: 1000 * gib,
		})
	}
	for _, w := range with {
		w(&snap)
	}
	return snap
}

func name(prefix string, i int) string { return prefix + string(rune('1'+i)) }

func vm(id string, role placement.Role, group string, with ...func(*placement.Request)) placement.Request {
	req := placement.Request{
		VM: id, Role: role, Group: group, Processors: 2, MemoryMiB: 4096, Switches: []string{"lan"},
		Disks: []placement.Disk{{Name: "boot", Bytes: 20 * gib, Image: &placement.Image{SHA256: "node", Bytes: 2 * gib, Stageable: true}}},
	}
	for _, w := range with {
		w(&req)
	}
	return req
}

func worker(id string, with ...func(*placement.Request)) placement.Request {
	return vm(id, placement.Worker, "", with...)
}

func host(i int, f func(*placement.Host)) func(*placement.Snapshot) {
	return func(s *placement.Snapshot) { f(&s.Hosts[i]) }
}

func volume(i int, f func(*placement.Volume)) func(*placement.Snapshot) {
	return func(s *placement.Snapshot) { f(&s.Volumes[i]) }
}

func unschedulable(why placement.Unschedulable) func(*placement.Host) {
	return func(h *placement.Host) { h.Unschedulable = why }
}

func faulted(fault placement.VolumeFault) func(*placement.Volume) {
	return func(v *placement.Volume) { v.Fault = fault }
}

func disks(sizes ...int64) func(*placement.Request) {
	return func(r *placement.Request) {
		r.Disks = nil
		for i, s := range sizes {
			r.Disks = append(r.Disks, placement.Disk{Name: name("disk", i), Bytes: s})
		}
	}
}

func memory(mib int64) func(*placement.Request) {
	return func(r *placement.Request) { r.MemoryMiB = mib }
}

func unplaceable(t *testing.T, err error) *placement.Unplaceable {
	t.Helper()
	var u *placement.Unplaceable
	if !errors.As(err, &u) {
		t.Fatalf("want an *Unplaceable, got %v", err)
	}
	return u
}

func TestInFlightPlacementsCountUntilTheHostReportsThem(t *testing.T) {
	g := NewWithT(t)
	taken := placement.Placement{
		VM: "b", Host: "hv1", MemoryMiB: 60000, Disks: []placement.PlacedDisk{{Volume: "csv1", Bytes: 990 * gib}}, InFlight: true,
	}
	snap := world(1, 1, func(s *placement.Snapshot) { s.Placements = []placement.Placement{taken} })
	_, err := placement.Place(worker("a"), snap)
	g.Expect(unplaceable(t, err).Reason).To(Equal(placement.OutOfMemory))

	snap.Hosts[0].MemoryMiB *= 2
	_, err = placement.Place(worker("a"), snap)
	g.Expect(unplaceable(t, err).Reason).To(Equal(placement.OutOfStorage))

	// Once the volume reports the disk, it is not counted a second time.
	snap.Placements[0].InFlight = false
	snap.Volumes[0].ProvisionedBytes = 500 * gib
	_, err = placement.Place(worker("a"), snap)
	g.Expect(err).NotTo(HaveOccurred())
}

func TestVMDoesNotStandInItsOwnWay(t *testing.T) {
	g := NewWithT(t)
	snap := world(1, 1, func(s *placement.Snapshot) {
		s.Placements = []placement.Placement{{VM: "a", Host: "hv1", MemoryMiB: 60000, InFlight: true}}
	})
	_, err := placement.Place(worker("a", memory(60000)), snap)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = placement.Place(worker("b", memory(60000)), snap)
	g.Expect(err).To(HaveOccurred())
}

func TestControlPlaneMembersTakeDifferentDomainsHostsAndVolumes(t *testing.T) {
	g := NewWithT(t)
	snap := world(6, 3, func(s *placement.Snapshot) {
		for i := range s.Hosts {
			s.Hosts[i].FailureDomain = name("rack", i/2)
		}
	})
	p := placement.NewPlanner(snap)
	domains, hosts, volumes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, id := range []string{"a", "b", "c"} {
		req := vm(id, placement.ControlPlane, "shop", func(r *placement.Request) {
			r.Disks = append(r.Disks, placement.Disk{Name: "etcd", Bytes: 10 * gib})
		})
		d, err := p.Place(req)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(d.Disks[0].Volume).To(Equal(d.Disks[1].Volume))
		p.Add(req, d)
		domains[d.FailureDomain], hosts[d.Host], volumes[d.Disks[0].Volume] = true, true, true
	}
	g.Expect(domains).To(HaveLen(3))
	g.Expect(hosts).To(HaveLen(3))
	g.Expect(volumes).To(HaveLen(3))
}

func TestRedirectedVolumeIsTheLastResort(t *testing.T) {
	for _, role := range []placement.Role{placement.ControlPlane, placement.LoadBalancer, placement.Worker} {
		g := NewWithT(t)
		snap := world(2, 2, volume(0, faulted(placement.VolumeRedirected)))
		// Everything else speaks for the redirected volume: the other one, and the
		// only host that reaches it, already have a member of the group.
		snap.Hosts[1].FailoverCluster, snap.Volumes[1].FailoverCluster, snap.Volumes[1].Host = "", "", "hv2"
		snap.Placements = []placement.Placement{{
			VM: "b", Group: "shop", Host: "hv2", Disks: []placement.PlacedDisk{{Volume: "csv2", Bytes: 500 * gib}}, InFlight: true,
		}}
		d, err := placement.Place(vm("a", role, "shop"), snap)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(d.Disks[0].Volume).To(Equal("csv2"), string(role))

		snap.Volumes[1].Fault = placement.VolumeMaintenance
		d, err = placement.Place(vm("a", role, "shop"), snap)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(d.Disks[0].Volume).To(Equal("csv1"), string(role))
	}
}

func TestMembersOfOnePoolTakeDifferentHosts(t *testing.T) {
	g := NewWithT(t)
	// Hosts alone, of which the first is new and empty: evenness of volumes alone
	// would put the whole pool there.
	snap := world(3, 3, func(s *placement.Snapshot) {
		for i := range s.Hosts {
			s.Hosts[i].FailoverCluster, s.Volumes[i].FailoverCluster, s.Volumes[i].Host = "", "", s.Hosts[i].Name
		}
		s.Volumes[1].ProvisionedBytes, s.Volumes[2].ProvisionedBytes = 500*gib, 500*gib
	})
	p := placement.NewPlanner(snap)
	hosts := map[string]bool{}
	for _, id := range []string{"a", "b", "c"} {
		req := vm(id, placement.Worker, "pool")
		d, err := p.Place(req)
		g.Expect(err).NotTo(HaveOccurred())
		p.Add(req, d)
		hosts[d.Host] = true
	}
	g.Expect(hosts).To(HaveLen(3))
}

func TestWorkerDisksSpreadOverVolumes(t *testing.T) {
	g := NewWithT(t)
	d, err := placement.Place(worker("a", disks(20*gib, 20*gib, 20*gib)), world(1, 3))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect([]string{d.Disks[0].Volume, d.Disks[1].Volume, d.Disks[2].Volume}).To(ConsistOf("csv1", "csv2", "csv3"))
}

func TestRoomThatOnlyAnotherOrderOfDisksFindsIsFound(t *testing.T) {
	g := NewWithT(t)
	snap := world(1, 2,
		volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 990 * gib }),
		volume(1, func(v *placement.Volume) { v.ProvisionedBytes = 994 * gib }))
	// 10 and 6 GiB are left. The boot disk would rather go to the emptier volume,
	// which is the only one for the data disk.
	d, err := placement.Place(worker("a", disks(6*gib, 10*gib)), snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect([]string{d.Disks[0].Volume, d.Disks[1].Volume}).To(Equal([]string{"csv2", "csv1"}))
}

func TestImageIsStagedOnlyWhereItIsMissing(t *testing.T) {
	g := NewWithT(t)
	snap := world(1, 1)
	d, err := placement.Place(worker("a"), snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Disks[0].StageImage).To(BeTrue())

	snap.Volumes[0].Images = []string{"node"}
	d, err = placement.Place(worker("a"), snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Disks[0].StageImage).To(BeFalse())
}

func TestImageThatTheNextVMNeedsTooIsCountedOnce(t *testing.T) {
	g := NewWithT(t)
	// Room for one image of 2 GiB and two disks of 20 GiB.
	p := placement.NewPlanner(world(1, 1, volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 958 * gib })))
	for _, id := range []string{"a", "b"} {
		d, err := p.Place(worker(id))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(d.Disks[0].StageImage).To(Equal(id == "a"))
		p.Add(worker(id), d)
	}
	_, err := p.Place(worker("c"))
	g.Expect(unplaceable(t, err).Best).To(BeZero())
}

func TestImageForAnotherDiskTakesItsRoomToo(t *testing.T) {
	g := NewWithT(t)
	// 21 GiB are left: enough for the data disk beside the boot disk, but for the
	// image.
	req := worker("a", disks(10*gib, 10*gib))
	snap := world(1, 1, volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 979 * gib }))
	_, err := placement.Place(req, snap)
	g.Expect(err).NotTo(HaveOccurred())
	req.Disks[0].Image = &placement.Image{SHA256: "node", Bytes: 2 * gib, Stageable: true}
	_, err = placement.Place(req, snap)
	g.Expect(unplaceable(t, err).Reason).To(Equal(placement.OutOfStorage))
}

func TestVolumesOfTheSameNameInTwoClustersAreTwo(t *testing.T) {
	g := NewWithT(t)
	snap := world(1, 1)
	snap.Hosts = append(snap.Hosts, placement.Host{
		Name: "alone", Processors: 32, MemoryMiB: 65536, Switches: []string{"lan"},
	})
	snap.Volumes = append(snap.Volumes, placement.Volume{Name: "csv1", Host: "alone", Bytes: 1000 * gib, FreeBytes: 1000 * gib})
	snap.Placements = []placement.Placement{{
		VM: "b", Host: "hv1", Disks: []placement.PlacedDisk{{Volume: "csv1", Bytes: 990 * gib}}, InFlight: true,
	}}
	d, err := placement.Place(worker("a"), snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("alone"))
}

func TestTraceTellsWhyHereAndWhyNotThere(t *testing.T) {
	g := NewWithT(t)
	snap := world(3, 2, host(0, unschedulable(placement.HostMaintenance)), host(1, func(h *placement.Host) { h.MemoryMiB = 5120 }),
		volume(0, faulted(placement.VolumeDismounted)))
	d, err := placement.Place(worker("a"), snap)
	g.Expect(err).NotTo(HaveOccurred())
	trace := d.Trace.String()
	g.Expect(trace).To(ContainSubstring("hv1: HostUnschedulable (host state: Maintenance)"))
	g.Expect(trace).To(ContainSubstring("hv2: OutOfMemory (memory: asked 4096 MiB, has 1024 MiB (hv2))"))
	g.Expect(trace).To(ContainSubstring("hv3: fits\n  csv1: VolumeFault (Dismounted)\n  csv2: fits\n"))
	g.Expect(strings.Count(trace, "hosts hv3; volumes csv2")).To(Equal(12), "one line for each score")

	quick, err := placement.NewPlanner(snap).Place(worker("a"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(quick.Trace).To(BeNil())
}

func TestRemoveGivesBackWhatAddTook(t *testing.T) {
	g := NewWithT(t)
	p := placement.NewPlanner(world(1, 1))
	big := worker("a", memory(60000))
	d, err := p.Place(big)
	g.Expect(err).NotTo(HaveOccurred())
	p.Add(big, d)
	_, err = p.Place(worker("b", memory(60000)))
	g.Expect(err).To(HaveOccurred())
	p.Remove("a")
	_, err = p.Place(worker("b", memory(60000)))
	g.Expect(err).NotTo(HaveOccurred())
}

func TestAHostToAvoidIsTakenIfNoOtherHasRoom(t *testing.T) {
	g := NewWithT(t)
	avoiding := vm("b", placement.LoadBalancer, "shop", func(r *placement.Request) { r.Avoid = []string{"hv1"} })
	member := placement.Placement{VM: "a", Group: "shop", Role: placement.LoadBalancer, Host: "hv2"}

	snap := world(3, 1, func(s *placement.Snapshot) { s.Placements = []placement.Placement{member} })
	d, err := placement.Place(avoiding, snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv3"))

	snap.Hosts[2].Unschedulable = placement.HostMaintenance
	d, err = placement.Place(avoiding, snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv2"), "beside its peer rather than where it did not work")

	snap.Hosts[1].MemoryMiB = 1024
	d, err = placement.Place(avoiding, snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv1"))
}
