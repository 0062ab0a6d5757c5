package ha

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// soon are time-outs for a world that boots in seconds. They are long against what it
// takes to move the VIP, so that the loss is noticed and healed as two things.
var soon = []string{"--host-loss-timeout=20s", "--volume-fault-timeout=5s", "--host-poll-interval=1s"}

// TestAnyCSVFaults takes from a control plane of three, one after the other, each of
// the volumes that its members are on.
func TestAnyCSVFaults(t *testing.T) {
	c := startWith(t, hosts, map[string][]string{"manager": soon})
	c.survivesEach(func(member *capstanv1.VirtualMachine) string {
		return member.Spec.Placement.Disks[0].Volume
	}, func(g Gomega, place, volume string, gone bool) {
		fault := fabricapi.Healthy
		if gone {
			fault = fabricapi.NoAccess
		}
		g.Expect(c.Env.Admin.SetVolumeFault(c.Ctx, fabricapi.SetVolumeFaultRequest{Site: place, Volume: volume, Fault: fault})).To(Succeed())
	})
}

// TestAnyHostIsLost takes each of the hosts, which form no failover cluster. One more
// than the members need is there to take in what was on it, and nobody declares a loss.
func TestAnyHostIsLost(t *testing.T) {
	c := startWith(t, hosts+1, map[string][]string{"fabric": {"--stand-alone"}, "manager": soon})
	c.survivesEach(func(member *capstanv1.VirtualMachine) string {
		return member.Spec.Placement.Host
	}, func(g Gomega, _, host string, gone bool) {
		if gone {
			g.Expect(c.Env.Admin.HostDown(c.Ctx, host)).To(Succeed())
			return
		}
		g.Expect(c.Env.Admin.HostUp(c.Ctx, host)).To(Succeed())
	})
}

// survivesEach makes a cluster of three members, takes away what each of them is on, as
// where tells, and gives it back when there are three again, none of them on it.
func (c *cluster) survivesEach(where func(*capstanv1.VirtualMachine) string, set func(g Gomega, site, name string, gone bool)) {
	t, g := c.t, NewWithT(c.t)
	auditor := c.threeMembers(g)

	used := map[string]string{}
	for _, member := range c.members(g) {
		used[where(&member)] = cmp.Or(member.Spec.Placement.FailoverCluster, member.Spec.Placement.Host)
	}
	g.Expect(used).To(HaveLen(3), "the members are apart")
	var longest time.Duration
	for _, name := range slices.Sorted(maps.Keys(used)) {
		site := used[name]
		t.Logf("%s goes", name)
		var gone time.Time
		report := c.whileAsked(func() {
			gone = time.Now()
			set(g, site, name, true)
			g.Eventually(c.Ctx, func(g Gomega) {
				members := c.members(g)
				g.Expect(members).To(HaveLen(3))
				g.Expect(slices.ContainsFunc(members, func(vm capstanv1.VirtualMachine) bool {
					return vm.Spec.Placement == nil || where(&vm) == name
				})).To(BeFalse(), "all members are elsewhere")
			}).WithPolling(often).WithTimeout(patience).Should(Succeed())
			g.Eventually(c.Ctx, func(g Gomega) { c.controlPlaneStands(g, 3) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
		})
		// The VIP and a member behind it may fall silent together, and the member is asked
		// until it is known to be gone.
		g.Expect(report.LongestGap).To(BeNumerically("<", 2*takeoverWithin), "two of three members go on")
		longest = max(longest, report.LongestGap)
		t.Logf("%s is made up for after %.1f s; the API server was away for %d ms at most", name, time.Since(gone).Seconds(), report.LongestGap.Milliseconds())
		set(g, site, name, false)
		g.Eventually(c.Ctx, func(g Gomega) { g.Expect(c.tombstones(g)).To(BeEmpty()) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
		c.settle(3)
	}
	t.Logf("RESULT longest_gap_ms=%d", longest.Milliseconds())

	c.leavesNothing(g, auditor)
}
