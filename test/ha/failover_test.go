package ha

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// TestAHostOfAFailoverClusterIsLost is of hosts that look after each other: what was on
// the one that died starts on others, where it is followed. It is the same machines all
// along, and none of them is ever there twice.
func TestAHostOfAFailoverClusterIsLost(t *testing.T) {
	c := startWith(t, hosts, map[string][]string{"fabric": {"--failover-delay=3s"}, "manager": {"--host-poll-interval=1s"}})
	g := NewWithT(t)
	auditor := c.threeMembers(g)

	host := c.worker(g).Status.Host
	moving := c.on(g, host)
	g.Expect(moving).To(ContainElement(HaveField("Spec.Role", capstanv1.RoleControlPlane)), "three members are on three hosts")
	machines := c.machines(g)
	lost := time.Now()
	report := c.whileAsked(func() {
		g.Expect(c.Env.Admin.HostDown(c.Ctx, host)).To(Succeed())
		for i := range moving {
			g.Eventually(c.Ctx, func(g Gomega) {
				vm := &moving[i]
				g.Expect(c.API.Get(c.Ctx, client.ObjectKeyFromObject(vm), vm)).To(Succeed())
				g.Expect(vm.Status.Host).NotTo(Or(Equal(host), BeEmpty()))
			}).WithPolling(often).WithTimeout(patience).Should(Succeed())
		}
		c.settle(3)
	})
	g.Expect(report.LongestGap).To(BeNumerically("<", 2*takeoverWithin), "two of three members go on")
	t.Logf("%d VMs of a lost host are elsewhere, and well, after %.1f s", len(moving), time.Since(lost).Seconds())
	g.Expect(c.machines(g)).To(Equal(machines), "nothing is replaced")

	g.Expect(c.Env.Admin.HostUp(c.Ctx, host)).To(Succeed())
	c.settle(3)
	remains := c.remains(g, moving)
	g.Expect(remains).To(HaveLen(len(moving)), "each is there once")
	for i := range remains {
		g.Expect(remains[i].State).To(Equal(fabricapi.Running))
		g.Expect(remains[i].Host).NotTo(Equal(host), "a failover cluster moves nothing back")
	}

	c.leavesNothing(g, auditor)
}
