package placement_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/placement"
)

func TestReasonAndMessageNameWhatIsLacking(t *testing.T) {
	for _, tc := range []struct {
		name    string
		snap    placement.Snapshot
		req     placement.Request
		reason  placement.Reason
		message string
	}{
		{
			"memory", world(3, 1,
				host(0, func(h *placement.Host) { h.MemoryMiB = 8192 }),
				host(1, func(h *placement.Host) { h.MemoryMiB = 10240 }),
				host(2, func(h *placement.Host) { h.MemoryMiB = 5120 })),
			worker("a", memory(16384)),
			placement.OutOfMemory, "memory: asked 16384 MiB, the most any of 3 hosts has free is 6144 MiB (hv2)",
		},
		{
			"memory that foreign VMs took", world(1, 1, host(0, func(h *placement.Host) { h.FreeMiB = 5120 })),
			worker("a"),
			placement.OutOfMemory, "memory: asked 4096 MiB, the most any of 1 host has free is 1024 MiB (hv1)",
		},
		{
			"processors", world(2, 1),
			worker("a", func(r *placement.Request) { r.Processors = 33 }),
			placement.OutOfProcessors, "processors: asked 33, the most any of 2 hosts has free is 32 (hv1)",
		},
		{
			"storage", world(3, 2, volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 990 * gib }),
				volume(1, func(v *placement.Volume) { v.ProvisionedBytes = 986 * gib })),
			worker("a"),
			placement.OutOfStorage, "storage: asked 20 GiB for disk boot, the most any of 2 volumes has free is 12 GiB (csv2)",
		},
		{
			"physically full although little is provisioned", world(1, 1, volume(0, func(v *placement.Volume) { v.FreeBytes = 51 * gib })),
			worker("a"),
			placement.OutOfStorage, "storage: asked 20 GiB for disk boot, the most any of 1 volume has free is 0 bytes (csv1)",
		},
		{
			"disks that only fit apart, for a VM that keeps them together", world(1, 2),
			vm("a", placement.ControlPlane, "", disks(600*gib, 600*gib)),
			placement.OutOfStorage, "storage: asked 1.2 TiB for 2 disks on one volume, the most any of 2 volumes has free is 1000 GiB (csv1)",
		},
		{
			"disks that each fit but not together", world(1, 2),
			worker("a", disks(600*gib, 600*gib, 600*gib)),
			placement.OutOfStorage, "storage: asked 1.8 TiB for 3 disks, which do not fit together on any host's volumes; the most one volume has free is 1000 GiB (csv1)",
		},
		{
			"volumes", world(2, 2, volume(0, faulted(placement.VolumeNoAccess)), volume(1, faulted(placement.VolumeDismounted))),
			worker("a"),
			placement.VolumeFaulted, "volume fault: all of 2 volumes are faulted, in maintenance or dismounted",
		},
		{
			"no volumes at all", world(2, 0), worker("a"),
			placement.NoVolume, "storage: 2 hosts (hv1, hv2) have no volume",
		},
		{
			"image", world(1, 2, volume(0, func(v *placement.Volume) { v.Images = []string{"other"} })),
			worker("a", func(r *placement.Request) { r.Disks[0].Image.Stageable = false }),
			placement.NoImage, "image: node is on none of 2 volumes and cannot be staged",
		},
		{
			"switch", world(2, 1), worker("a", func(r *placement.Request) { r.Switches = []string{"lan", "dmz"} }),
			placement.NoSwitch, "switches: none of 2 hosts has all of lan, dmz",
		},
		{
			"one switch", world(2, 1), worker("a", func(r *placement.Request) { r.Switches = []string{"dmz"} }),
			placement.NoSwitch, "switches: none of 2 hosts has dmz",
		},
		{
			"failure domain", world(2, 1), worker("a", func(r *placement.Request) { r.FailureDomain = "rack9" }),
			placement.NoFailureDomain, `failure domain: none of 2 hosts is in "rack9"`,
		},
		{
			"host selector", world(2, 1, host(0, func(h *placement.Host) { h.Labels = map[string]string{"site": "north"} })),
			worker("a", func(r *placement.Request) {
				r.HostLabels = []placement.Requirement{{Key: "site", Operator: placement.In, Values: []string{"south", "west"}}, {Key: "ssd", Operator: placement.Exists}}
			}),
			placement.HostNotSelected, "host selector: none of 2 hosts has the labels site In (south, west) and ssd Exists",
		},
		{
			"volumes asked for", world(2, 2),
			worker("a", func(r *placement.Request) { r.Volumes, r.ExcludedVolumes = []string{"csv2"}, []string{"csv2"} }),
			placement.VolumeNotSelected, "volumes: none of 2 volumes is asked for (csv2 but csv2)",
		},
		{
			"spare host", world(2, 1, func(s *placement.Snapshot) {
				s.Placements = []placement.Placement{{VM: "b", Host: "hv1", MemoryMiB: 59_392}}
			}), worker("a"),
			placement.NoSpareHost, "spare host: asked 4096 MiB, but beyond what is kept free in case a host of the failover cluster fails there are 2048 MiB (hv2); 1 host: OutOfMemory",
		},
		{
			"apart from a member on every host", world(1, 2, func(s *placement.Snapshot) {
				s.Placements = []placement.Placement{{VM: "b", Group: "shop", Host: "hv1"}}
			}), vm("a", placement.ControlPlane, "shop", func(r *placement.Request) { r.Apart = true }),
			placement.NotApart, "apart: each of 1 host that would do has a machine of shop",
		},
		{
			"apart from a member on every volume", world(2, 1, func(s *placement.Snapshot) {
				s.Placements = []placement.Placement{{VM: "b", Group: "shop", Host: "hv1", Disks: []placement.PlacedDisk{{Volume: "csv1"}}}}
			}), vm("a", placement.ControlPlane, "shop", func(r *placement.Request) { r.Apart = true }),
			placement.NotApart, "apart: none of 1 volume that would do is without a machine of shop",
		},
		{"no hosts", placement.Snapshot{}, worker("a"), placement.NoHost, "there are no hosts"},
		{
			"maintenance", world(1, 1, host(0, unschedulable(placement.HostMaintenance))), worker("a"),
			placement.HostUnschedulable, "all hosts are in maintenance or lost; 1 host in maintenance would fit",
		},
		{
			"all hosts are drained", world(2, 1, host(0, unschedulable(placement.HostDrains)), host(1, unschedulable(placement.HostDrains))), worker("a"),
			placement.HostDraining, "all hosts are being drained; 2 hosts being drained would fit",
		},
		{
			"one host is drained, the other in maintenance",
			world(2, 1, host(0, unschedulable(placement.HostDrains)), host(1, unschedulable(placement.HostMaintenance))), worker("a"),
			placement.HostUnschedulable, "all hosts are in maintenance or lost; 1 host: HostDraining; 1 host in maintenance would fit; 1 host being drained would fit",
		},
		{
			"bad request", world(1, 1), worker("a", func(r *placement.Request) { r.Disks = nil }),
			placement.InvalidRequest, "placement request of VM a: there is no disk",
		},
		{
			"the nearest candidates speak, the others are counted",
			world(3, 1,
				host(0, func(h *placement.Host) { h.Switches = nil }),
				host(1, func(h *placement.Host) { h.MemoryMiB = 4096 + 1024 }),
				host(2, unschedulable(placement.HostLost))),
			worker("a"),
			placement.OutOfMemory, "memory: asked 4096 MiB, the most any of 1 host has free is 1024 MiB (hv2); 1 host: HostUnschedulable; 1 host: NoSwitch",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := placement.Place(tc.req, tc.snap)
			u := unplaceable(t, err)
			g.Expect(u.Reason).To(Equal(tc.reason))
			g.Expect(u.Message).To(Equal(tc.message))
		})
	}
}

func TestUnreachableHostNeverReadsAsNoCapacity(t *testing.T) {
	small := func(h *placement.Host) { h.MemoryMiB = 5120 }
	silent := unschedulable(placement.HostSilent)
	for _, tc := range []struct {
		name   string
		snap   placement.Snapshot
		reason placement.Reason
	}{
		{"the only host that fits is silent", world(2, 1, host(0, small), host(1, silent)), placement.HostUnreachable},
		{"all hosts are silent, and would not fit either", world(1, 1, host(0, small), host(0, silent)), placement.HostUnreachable},
		{"nothing is known of the silent host", world(2, 1, host(0, small), host(1, func(h *placement.Host) {
			*h = placement.Host{Name: "hv2", Unschedulable: placement.HostSilent}
		})), placement.HostUnreachable},
		{"the disks fit one by one on the silent host, but not together", world(2, 2, host(0, unschedulable(placement.HostMaintenance)), host(1, silent),
			func(s *placement.Snapshot) {
				s.Hosts = append(s.Hosts, s.Hosts[0])
				s.Hosts[2].Name, s.Hosts[2].FailoverCluster, s.Hosts[2].Unschedulable = "hv3", "", ""
			}, volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 979 * gib }), volume(1, func(v *placement.Volume) { v.ProvisionedBytes = 999 * gib })),
			placement.NoVolume},
		{"the silent host would not fit", world(2, 1, host(0, small), host(1, small), host(1, silent)), placement.OutOfMemory},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			req := worker("a", func(r *placement.Request) {
				r.Disks[0].Image = nil
				r.Disks = append(r.Disks, placement.Disk{Name: "data", Bytes: 2 * gib})
			})
			_, err := placement.Place(req, tc.snap)
			g.Expect(unplaceable(t, err).Reason).To(Equal(tc.reason))
		})
	}
}
