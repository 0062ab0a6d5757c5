package ha

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// TestEverythingFailsAtOnce takes the power from all hosts and from the manager, for longer
// than a host may be silent until it is presumed lost, and gives it back. Nobody has been
// replaced for it, and nobody is when it comes back.
func TestEverythingFailsAtOnce(t *testing.T) {
	const lostAfter, dark = 20 * time.Second, 30 * time.Second
	c := startWith(t, hosts, map[string][]string{"fabric": {"--stand-alone"}, "manager": {"--host-loss-timeout=" + lostAfter.String(), "--host-poll-interval=1s"}})
	g := NewWithT(t)
	auditor := c.threeMembers(g)
	machines := c.machines(g)

	for _, host := range c.hosts(g) {
		g.Expect(c.Env.Admin.HostDown(c.Ctx, host)).To(Succeed())
	}
	g.Expect(c.Env.Crash(demoenv.Manager)).To(Succeed())
	for _, host := range c.hosts(g) {
		g.Eventually(c.Ctx, c.hostReady(host)).WithPolling(often).WithTimeout(patience).ShouldNot(Equal(metav1.ConditionTrue))
	}
	g.Consistently(c.Ctx, func() int { return c.leaving(g) }).WithPolling(often).WithTimeout(dark).Should(BeZero(), "a power failure is not as many losses")

	back := time.Now()
	for _, host := range c.hosts(g) {
		g.Expect(c.Env.Admin.HostUp(c.Ctx, host)).To(Succeed())
	}
	c.settle(3)
	t.Logf("all is well again %.1f s after the power came back", time.Since(back).Seconds())
	g.Consistently(c.Ctx, func() int { return c.leaving(g) }).WithPolling(often).WithTimeout(lostAfter/4).Should(BeZero(), "there is no storm afterwards")
	g.Expect(c.machines(g)).To(Equal(machines), "all are the same")

	c.leavesNothing(g, auditor)
}
