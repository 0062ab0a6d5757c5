package placement_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// What operators of such clusters complain of in public, each made impossible.

func TestPainEverythingLandsOnTheFirstVolumeUntilItIsFull(t *testing.T) {
	g := NewWithT(t)
	p := placement.NewPlanner(world(2, 4))
	disks := map[string]int{}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d, err := p.Place(worker(id))
		g.Expect(err).NotTo(HaveOccurred())
		p.Add(worker(id), d)
		disks[d.Disks[0].Volume]++
	}
	g.Expect(disks).To(Equal(map[string]int{"csv1": 2, "csv2": 2, "csv3": 2, "csv4": 2}))
}

func TestPainVolumesCannotBeChosen(t *testing.T) {
	for _, tc := range []struct {
		name         string
		only, except []string
		want         []string
	}{
		{"included", []string{"csv3"}, nil, []string{"csv3", "csv3"}},
		{"excluded", nil, []string{"csv1", "csv2", "csv4"}, []string{"csv3", "csv3"}},
		{"included and excluded", []string{"csv2", "csv3"}, []string{"csv2"}, []string{"csv3", "csv3"}},
		{"all disks keep to them", []string{"csv2", "csv4"}, nil, []string{"csv2", "csv4"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			d, err := placement.Place(worker("a", disks(20*gib, 20*gib), func(r *placement.Request) {
				r.Volumes, r.ExcludedVolumes = tc.only, tc.except
			}), world(1, 4))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect([]string{d.Disks[0].Volume, d.Disks[1].Volume}).To(Equal(tc.want))
		})
	}
}

func TestPainFailureDomainsAreFrozenAtCreation(t *testing.T) {
	g := NewWithT(t)
	snap := world(2, 2, func(s *placement.Snapshot) {
		s.Placements = []placement.Placement{{VM: "a", Group: "shop", Role: placement.ControlPlane, Host: "hv1"}}
	})
	snap.Hosts[0].FailureDomain, snap.Hosts[1].FailureDomain = "rack1", "rack2"
	binding := vm("b", placement.ControlPlane, "shop", func(r *placement.Request) { r.FailureDomain = "rack2" })
	d, err := placement.Place(binding, snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv2"))

	// The hosts change racks, and with them what stands on them.
	snap.Hosts[0].FailureDomain, snap.Hosts[1].FailureDomain = "rack2", "rack1"
	d, err = placement.Place(binding, snap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.Host).To(Equal("hv1"))
}

func TestPainAnAgentFailureReadsAsOutOfCapacity(t *testing.T) {
	g := NewWithT(t)
	// Whatever the host that answers lacks, the one that does not may have.
	for _, small := range []func(*placement.Snapshot){
		host(0, func(h *placement.Host) { h.MemoryMiB = 5120 }),
		host(0, func(h *placement.Host) { h.Processors = 1 }),
		func(s *placement.Snapshot) {
			s.Placements = []placement.Placement{{VM: "b", Host: "hv2", MemoryMiB: 50_000}}
			s.Hosts[0].MemoryMiB = 50_000
		},
	} {
		_, err := placement.Place(worker("a"), world(2, 1, host(1, unschedulable(placement.HostSilent)), small))
		g.Expect(unplaceable(t, err).Reason).To(Equal(placement.HostUnreachable))
	}
}

func TestPainADeadHostBlocksTheRepairOfTheControlPlane(t *testing.T) {
	for name, dead := range map[string]placement.Unschedulable{"declared lost": placement.HostLost, "silent": placement.HostSilent} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			// Three hosts of 60 GiB for VMs each carry 80 together. Once one is dead, the
			// others have 60 free, which is no more than a host has: were that still kept
			// for a second loss, what died would never be made again.
			snap := world(3, 3, host(0, unschedulable(dead)), func(s *placement.Snapshot) {
				s.Placements = []placement.Placement{
					{VM: "a", Group: "shop", Role: placement.ControlPlane, Host: "hv1", MemoryMiB: 20_480},
					{VM: "b", Group: "shop", Role: placement.ControlPlane, Host: "hv2", MemoryMiB: 20_480},
					{VM: "other", Host: "hv2", MemoryMiB: 20_480},
					{VM: "another", Host: "hv3", MemoryMiB: 20_480},
				}
			})
			repair := vm("c", placement.ControlPlane, "shop", memory(20_480))
			d, err := placement.Place(repair, snap)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(d.Host).To(Equal("hv3"))
		})
	}
}
