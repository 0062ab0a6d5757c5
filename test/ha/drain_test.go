package ha

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// TestAHostIsDrainedAndFilledAgain is what an administrator does who works on a host: a
// member of the control plane, a node and perhaps a load balancer's VM leave it while the
// cluster goes on, and some come back when they are asked to.
func TestAHostIsDrainedAndFilledAgain(t *testing.T) {
	c := start(t, "--stand-alone")
	g := NewWithT(t)
	auditor := c.threeMembers(g)

	host := c.worker(g).Spec.Placement.Host
	leaving := c.on(g, host)
	g.Expect(leaving).To(ContainElement(HaveField("Spec.Role", capstanv1.RoleControlPlane)), "three members are on three hosts")
	output, err := c.Env.RunKubectl(c.Ctx, "delete", "hypervhost", host)
	g.Expect(err).To(HaveOccurred(), "a host in use is not deleted")
	g.Expect(output + err.Error()).To(ContainSubstring("spec.maintenance to Drain"))

	began := time.Now()
	report := c.whileAsked(func() {
		c.Kubectl(g, "patch", "hypervhost", host, "--type=merge", "-p", `{"spec":{"maintenance":"Drain"}}`)
		c.Kubectl(g, "wait", "hypervhost", host, "--for=condition=Drained", "--timeout=4m")
		c.settle(3)
	})
	g.Expect(report.LongestGap).To(BeNumerically("<", takeoverWithin), "others had taken over before")
	t.Logf("%d VMs left host %s within %.1f s", len(leaving), host, time.Since(began).Seconds())
	g.Expect(c.on(g, host)).To(BeEmpty())
	remains := c.remains(g, leaving)
	for i := range remains {
		g.Expect(remains[i].State).NotTo(Equal(fabricapi.Running), "%s left the host", remains[i].Name)
	}

	c.Kubectl(g, "patch", "hypervhost", host, "--type=merge", "-p", `{"spec":{"maintenance":null}}`)
	g.Eventually(c.Ctx, func(g Gomega) {
		hvh := &capstanv1.HyperVHost{}
		g.Expect(c.API.Get(c.Ctx, client.ObjectKey{Name: host}, hvh)).To(Succeed())
		g.Expect(meta.FindStatusCondition(hvh.Status.Conditions, capstanv1.DrainedCondition)).To(BeNil())
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())

	c.Kubectl(g, "annotate", "workloadcluster", shop.Name, capstanv1.RebalanceAnnotation+"=")
	g.Eventually(c.Ctx, func(g Gomega) {
		wlc := &capstanv1.WorkloadCluster{}
		g.Expect(c.API.Get(c.Ctx, shop, wlc)).To(Succeed())
		g.Expect(wlc.Annotations).NotTo(HaveKey(capstanv1.RebalanceAnnotation), "%v", wlc.Status.Rebalance)
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())
	c.settle(3)
	onHosts, _ := c.spread(g)
	g.Expect(onHosts).To(Equal([]int{1, 1, 1}))

	c.leavesNothing(g, auditor)
}
