package ha

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// TestALoadBalancerVMIsOnAHostThatIsSilent takes the power from the host of the VM that holds
// the VIP. Nobody declares a loss: the other VM takes the VIP, and says that it does not hear
// it. Then the LoadBalancer has two VMs again, and what is left of the one that is gone is
// removed when its host comes back.
func TestALoadBalancerVMIsOnAHostThatIsSilent(t *testing.T) {
	c := startWith(t, hosts+1, map[string][]string{"fabric": {"--stand-alone"}, "manager": soon})
	g := NewWithT(t)
	auditor := c.threeMembers(g)

	lb := &capstanv1.LoadBalancer{}
	g.Expect(c.API.Get(c.Ctx, shop, lb)).To(Succeed())
	active := slices.IndexFunc(lb.Status.Instances, func(i capstanv1.LoadBalancerInstance) bool { return i.Role == "Active" })
	g.Expect(active).NotTo(Equal(-1))
	gone := lb.Status.Instances[active]
	var lost time.Time
	report := c.whileAsked(func() {
		lost = time.Now()
		g.Expect(c.Env.Admin.HostDown(c.Ctx, gone.Host)).To(Succeed())
		g.Eventually(c.Ctx, func(g Gomega) {
			g.Expect(c.API.Get(c.Ctx, shop, lb)).To(Succeed())
			g.Expect(lb.Status.Instances).To(HaveLen(2))
			g.Expect(lb.Status.Instances).NotTo(ContainElement(HaveField("Name", gone.Name)))
			g.Expect(meta.IsStatusConditionTrue(lb.Status.Conditions, capstanv1.InstancesReadyCondition)).To(BeTrue())
		}).WithPolling(often).WithTimeout(patience).Should(Succeed())
	})
	g.Expect(report.LongestGap).To(BeNumerically("<", 2*takeoverWithin))
	t.Logf("%s is made up for after %.1f s; the API server was away for %d ms at most", gone.Name, time.Since(lost).Seconds(), report.LongestGap.Milliseconds())
	g.Expect(c.tombstones(g)).To(ContainElement(HaveField("Spec.VMRef.Name", gone.Name)))
	g.Expect(lb.Status.Instances).NotTo(ContainElement(HaveField("Address", gone.Address)), "whoever is buried keeps its address")

	g.Expect(c.Env.Admin.HostUp(c.Ctx, gone.Host)).To(Succeed())
	g.Eventually(c.Ctx, func(g Gomega) { g.Expect(c.tombstones(g)).To(BeEmpty()) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
	c.settle(3)
	c.leavesNothing(g, auditor)
}
