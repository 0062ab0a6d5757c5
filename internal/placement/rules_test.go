package placement_test

import (
	"fmt"
	"math"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/placement"
)

func TestHostSelectorMeansWhatItMeansInKubernetes(t *testing.T) {
	for _, tc := range []struct {
		requirement placement.Requirement
		want        []string
	}{
		{placement.Requirement{Key: "site", Operator: placement.In, Values: []string{"north"}}, []string{"hv1"}},
		{placement.Requirement{Key: "site", Operator: placement.NotIn, Values: []string{"north"}}, []string{"hv2", "hv3"}},
		{placement.Requirement{Key: "site", Operator: placement.Exists}, []string{"hv1", "hv2"}},
		{placement.Requirement{Key: "site", Operator: placement.DoesNotExist}, []string{"hv3"}},
		{placement.Requirement{Key: "site", Operator: placement.In, Values: []string{""}}, nil},
	} {
		t.Run(fmt.Sprint(tc.requirement), func(t *testing.T) {
			g := NewWithT(t)
			d, err := placement.Place(worker("a", func(r *placement.Request) {
				r.HostLabels = []placement.Requirement{tc.requirement}
			}), world(3, 1,
				host(0, func(h *placement.Host) { h.Labels = map[string]string{"site": "north"} }),
				host(1, func(h *placement.Host) { h.Labels = map[string]string{"site": "south"} })))
			trace := d.Trace
			if err != nil {
				u := unplaceable(t, err)
				g.Expect(u.Reason).To(Equal(placement.HostNotSelected))
				trace = u.Trace
			}
			var fit []string
			for _, h := range trace.Hosts {
				if h.Reason == "" {
					fit = append(fit, h.Host)
				}
			}
			g.Expect(fit).To(Equal(tc.want))
		})
	}
}

func TestApartIsBindingOnlyWhereItIsAskedFor(t *testing.T) {
	for _, role := range []placement.Role{placement.ControlPlane, placement.LoadBalancer, placement.Worker} {
		for _, tc := range []struct {
			name           string
			hosts, volumes int
		}{
			{"one host", 1, 2},
			{"one volume", 2, 1},
		} {
			t.Run(string(role)+" "+tc.name, func(t *testing.T) {
				g := NewWithT(t)
				snap := world(tc.hosts, tc.volumes, func(s *placement.Snapshot) {
					s.Placements = []placement.Placement{{
						VM: "a", Group: "shop", Role: role, Host: "hv1", Disks: []placement.PlacedDisk{{Volume: "csv1", Bytes: gib}},
					}}
				})
				_, err := placement.Place(vm("b", role, "shop"), snap)
				g.Expect(err).NotTo(HaveOccurred())
				apart := func(r *placement.Request) { r.Apart = true }
				_, err = placement.Place(vm("b", role, "shop", apart), snap)
				g.Expect(unplaceable(t, err).Reason).To(Equal(placement.NotApart))
				_, err = placement.Place(vm("b", role, "stock", apart), snap)
				g.Expect(err).NotTo(HaveOccurred(), "another group is not in the way")
			})
		}
	}
}

func TestAFailoverClusterKeepsRoomForTheLossOfAHost(t *testing.T) {
	fill := func(n int, snap placement.Snapshot) (placed int) {
		p := placement.NewPlanner(snap)
		for i := range n {
			req := worker(fmt.Sprint(i), memory(10_240))
			d, err := p.Place(req)
			if err != nil {
				return placed
			}
			p.Add(req, d)
			placed++
		}
		return placed
	}
	// A host has 60 GiB for VMs, six of these.
	for _, tc := range []struct {
		name string
		snap placement.Snapshot
		want int
	}{
		{"three hosts carry what two could", world(3, 3), 12},
		{"two hosts carry what one could", world(2, 3), 6},
		{"one host has nobody to take over", world(1, 3), 6},
		{"hosts that stand alone cannot take over", alone(world(2, 2)), 12},
		{"not if all is to be given out", world(3, 3, func(s *placement.Snapshot) { s.Policy.NoSpareHost = true }), 18},
		{"the largest host counts", world(3, 3, host(0, func(h *placement.Host) { h.MemoryMiB += 61_440 })), 12},
		{"what a host in maintenance carries needs room", world(3, 3, host(0, unschedulable(placement.HostMaintenance)), func(s *placement.Snapshot) {
			s.Placements = []placement.Placement{{VM: "there", Host: "hv1", MemoryMiB: 20_480}}
		}), 10},
		{"what is drained is made anew, and room for it is not kept twice", world(3, 3, host(0, unschedulable(placement.HostDrains)), func(s *placement.Snapshot) {
			s.Placements = []placement.Placement{{VM: "there", Host: "hv1", MemoryMiB: 20_480}}
		}), 12},
	} {
		t.Run(tc.name, func(t *testing.T) { NewWithT(t).Expect(fill(24, tc.snap)).To(Equal(tc.want)) })
	}
}

// alone takes the hosts out of their failover cluster, each with a volume.
func alone(snap placement.Snapshot) placement.Snapshot {
	for i := range snap.Hosts {
		snap.Hosts[i].FailoverCluster, snap.Volumes[i].FailoverCluster, snap.Volumes[i].Host = "", "", snap.Hosts[i].Name
	}
	return snap
}

func TestSpreadWeightIsHowMuchFullerAVolumeMayBeToKeepAPoolApart(t *testing.T) {
	// The member is on the emptier volume: the other is fuller by 19 GiB of 1000 at
	// least, its member's disk, to 91.
	for _, tc := range []struct {
		weight float64
		fuller int64
		want   string
	}{
		{0, 50, "csv1"},
		{0.1, 50, "csv2"},
		{0.1, 150, "csv1"},
		{1, 150, "csv2"},
		{1, 900, "csv2"},
	} {
		t.Run(fmt.Sprint(tc.weight, tc.fuller), func(t *testing.T) {
			g := NewWithT(t)
			d, err := placement.Place(vm("b", placement.Worker, "pool", func(r *placement.Request) { r.SpreadWeight = tc.weight }),
				world(2, 2, volume(1, func(v *placement.Volume) { v.ProvisionedBytes = tc.fuller * gib }), func(s *placement.Snapshot) {
					s.Placements = []placement.Placement{{
						VM: "a", Group: "pool", Role: placement.Worker, Host: "hv1", Disks: []placement.PlacedDisk{{Volume: "csv1", Bytes: gib}},
					}}
				}))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(d.Disks[0].Volume).To(Equal(tc.want))
		})
	}
}

func TestARequestThatMakesNoSenseIsRefused(t *testing.T) {
	for name, with := range map[string]func(*placement.Request){
		"negative weight":  func(r *placement.Request) { r.SpreadWeight = -0.1 },
		"too much weight":  func(r *placement.Request) { r.SpreadWeight = 1.1 },
		"weight no number": func(r *placement.Request) { r.SpreadWeight = math.NaN() },
		"unknown operator": func(r *placement.Request) { r.HostLabels = []placement.Requirement{{Key: "a", Operator: "Gt"}} },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := placement.Place(worker("a", with), world(1, 1))
			NewWithT(t).Expect(unplaceable(t, err).Reason).To(Equal(placement.InvalidRequest))
		})
	}
}
