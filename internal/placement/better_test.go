package placement_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/placement"
)

// stands puts VMs of the group shop where they are said to be.
func stands(role placement.Role, at ...[2]string) func(*placement.Snapshot) {
	return func(s *placement.Snapshot) {
		for i, place := range at {
			s.Placements = append(s.Placements, placement.Placement{
				VM: name("vm", i), Group: "shop", Role: role, Host: place[0], Processors: 2, MemoryMiB: 4096,
				Disks: []placement.PlacedDisk{{Volume: place[1], Bytes: 20 * gib}},
			})
		}
	}
}

func racks(names ...string) func(*placement.Snapshot) {
	return func(s *placement.Snapshot) {
		for i, n := range names {
			s.Hosts[i].FailureDomain = n
		}
	}
}

func TestWhichVMWouldHaveABetterPlaceToday(t *testing.T) {
	for name, tc := range map[string]struct {
		role placement.Role
		snap placement.Snapshot
		// score is why the first VM would be elsewhere, and host where; "" for not.
		score, host string
		skew        placement.Skew
	}{
		"each has a host": {
			role: placement.Worker, snap: world(2, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv2", "csv2"})),
		},
		"a host came back": {
			role: placement.Worker, snap: world(2, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv1", "csv2"})),
			score: "host apart", host: "hv2", skew: placement.Skew{Hosts: 1},
		},
		"a host came that takes nothing": {
			role:  placement.Worker,
			snap:  world(2, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv1", "csv2"}), host(1, unschedulable(placement.HostDrains))),
			score: "", skew: placement.Skew{},
		},
		"a host came that has no room": {
			role: placement.Worker, snap: world(2, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv1", "csv2"}),
				host(1, func(h *placement.Host) { h.MemoryMiB = 5120 })),
			skew: placement.Skew{Hosts: 1},
		},
		"two members of a control plane on one volume": {
			role: placement.ControlPlane, snap: world(2, 2, stands(placement.ControlPlane, [2]string{"hv1", "csv1"}, [2]string{"hv2", "csv1"})),
			score: "volume apart", host: "hv1", skew: placement.Skew{Volumes: 1},
		},
		"two members in one rack": {
			role:  placement.ControlPlane,
			snap:  world(3, 3, racks("a", "a", "b"), stands(placement.ControlPlane, [2]string{"hv1", "csv1"}, [2]string{"hv2", "csv2"})),
			score: "failure domain apart", host: "hv3", skew: placement.Skew{FailureDomains: 1},
		},
		"three members in two racks": {
			role: placement.ControlPlane,
			snap: world(3, 3, racks("a", "a", "b"), stands(placement.ControlPlane, [2]string{"hv1", "csv1"}, [2]string{"hv2", "csv2"}, [2]string{"hv3", "csv3"})),
		},
		"a new volume is empty, and the worker's nearly full": {
			role: placement.Worker,
			snap: world(1, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}), volume(0, func(v *placement.Volume) {
				v.ProvisionedBytes = 800 * gib
			})),
			score: "even bytes", host: "hv1",
		},
		"a new volume is a little emptier": {
			role: placement.Worker,
			snap: world(1, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}), volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 90 * gib })),
		},
		"a control plane's volume is nearly full": {
			role: placement.ControlPlane,
			snap: world(1, 2, stands(placement.ControlPlane, [2]string{"hv1", "csv1"}), volume(0, func(v *placement.Volume) { v.ProvisionedBytes = 800 * gib })),
		},
		"its own host is drained": {
			role: placement.Worker, snap: world(2, 2, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv1", "csv2"}), host(0, unschedulable(placement.HostDrains))),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := placement.NewPlanner(tc.snap)
			better, ok := p.Better(vm("vm1", tc.role, "shop"))
			g.Expect(ok).To(Equal(tc.score != ""))
			g.Expect(better.Score).To(Equal(tc.score))
			g.Expect(better.Host).To(Equal(tc.host))
			g.Expect(p.Skew(vm("vm1", tc.role, "shop"))).To(Equal(tc.skew))
		})
	}
}

func TestPainAHostThatComesBackStaysEmptyForEver(t *testing.T) {
	// Without asking, nothing moves; but what would be better is known.
	g := NewWithT(t)
	p := placement.NewPlanner(world(3, 3, stands(placement.Worker, [2]string{"hv1", "csv1"}, [2]string{"hv1", "csv2"}, [2]string{"hv2", "csv3"}, [2]string{"hv2", "csv1"})))
	g.Expect(p.Skew(vm("vm1", placement.Worker, "shop"))).To(Equal(placement.Skew{}), "two of four on one of three hosts is an even share")
	better, ok := p.Better(vm("vm1", placement.Worker, "shop"))
	g.Expect(ok).To(BeTrue())
	g.Expect(better.Host).To(Equal("hv3"))
}

func TestAVMWithoutAPlaceHasNoBetterOne(t *testing.T) {
	g := NewWithT(t)
	p := placement.NewPlanner(world(2, 2))
	_, ok := p.Better(worker("a"))
	g.Expect(ok).To(BeFalse())
	g.Expect(p.Skew(worker("a"))).To(Equal(placement.Skew{}))
}

// TestPropertyImprovementsComeToAnEnd moves whatever would be better elsewhere, in any
// order, until nothing would be.
func TestPropertyImprovementsComeToAnEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := NewWithT(rt)
		role := rapid.SampledFrom([]placement.Role{placement.ControlPlane, placement.Worker}).Draw(rt, "role")
		hosts, volumes := rapid.IntRange(1, 5).Draw(rt, "hosts"), rapid.IntRange(1, 5).Draw(rt, "volumes")
		var at [][2]string
		for range rapid.IntRange(1, 7).Draw(rt, "vms") {
			at = append(at, [2]string{
				name("hv", rapid.IntRange(0, hosts-1).Draw(rt, "host")), name("csv", rapid.IntRange(0, volumes-1).Draw(rt, "volume")),
			})
		}
		var names []string
		for range hosts {
			names = append(names, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "rack"))
		}
		p := placement.NewPlanner(world(hosts, volumes, racks(names...), stands(role, at...)))
		for moves := 0; ; moves++ {
			g.Expect(moves).To(BeNumerically("<", 100), "it must come to an end")
			var better []placement.Request
			for i := range at {
				if _, ok := p.Better(vm(name("vm", i), role, "shop")); ok {
					better = append(better, vm(name("vm", i), role, "shop"))
				}
			}
			if len(better) == 0 {
				break
			}
			next := rapid.SampledFrom(better).Draw(rt, "next")
			improved, ok := p.Better(next)
			g.Expect(ok).To(BeTrue(), "looking changes nothing")
			placed, err := p.Place(next)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(placed).To(Equal(improved.Decision), "it is where placement would put it")
			p.Add(next, placed)
		}
		// Without anything else in the way, an end is an even one.
		skew := p.Skew(vm("vm1", role, "shop"))
		if role == placement.ControlPlane {
			g.Expect(skew.FailureDomains).To(BeZero())
		} else {
			g.Expect(skew.Hosts).To(BeZero())
		}
	})
}
