package ha

import (
	"net/http"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// management is all of the management cluster, in the order in which it fails: whoever
// needs something is gone before it.
var management = []string{demoenv.Manager, demoenv.ControllerManager, demoenv.APIServer, demoenv.Etcd}

// unmanaged is for how long it is looked on.
const unmanaged = 5 * time.Second

// TestTheManagementClusterIsDown shows what goes on without it: the API server behind its
// VIP, and that moves by itself when the host of its load balancer dies. What was wanted
// meanwhile is done later.
func TestTheManagementClusterIsDown(t *testing.T) {
	c := start(t, "--stand-alone")
	g := NewWithT(t)
	auditor := c.threeMembers(g)
	machines := c.machines(g)
	holder := c.holder(g)
	members := slices.DeleteFunc(c.members(g), func(vm capstanv1.VirtualMachine) bool { return vm.Status.Host == holder })
	answer := c.ask(&members[0])

	report := c.whileAsked(func() {
		for _, process := range management {
			g.Expect(c.Env.Halt(process)).To(BeTrue())
		}
		g.Consistently(answer, unmanaged, often).Should(Equal(http.StatusOK), "nobody needs it to go on")
		g.Expect(c.Env.Admin.HostDown(c.Ctx, holder)).To(Succeed())
		g.Eventually(c.Ctx, answer).WithPolling(often).WithTimeout(patience).Should(Equal(http.StatusOK))
		g.Consistently(answer, unmanaged, often).Should(Equal(http.StatusOK), "two of three are a majority")
	})
	g.Expect(report.LongestGap).To(BeNumerically("<", 2*takeoverWithin), "the VIP moves by itself")
	t.Logf("without the management cluster, when the host died that had the VIP: %d requests, %d of them failed", report.Requests, report.Failed)

	g.Expect(c.Env.Admin.HostUp(c.Ctx, holder)).To(Succeed())
	for _, process := range slices.Backward(management) {
		g.Expect(c.Env.Resume(process)).To(Succeed())
		if process == demoenv.APIServer {
			g.Eventually(c.Ctx, func() error { return c.API.List(c.Ctx, &capstanv1.HyperVHostList{}) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
		}
	}
	c.settle(3)
	g.Expect(c.machines(g)).To(Equal(machines), "nothing is replaced")
	c.resize(1)

	c.leavesNothing(g, auditor)
}
