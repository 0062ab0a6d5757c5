package clients

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// fewest is how often each command must have run for a part to tell anything.
const fewest = 10

// TestStockClientsNoticeNoReplacement is one cluster's life, told in order: what one part
// leaves is what the next begins with.
func TestStockClientsNoticeNoReplacement(t *testing.T) {
	c := start(t)
	for _, part := range []struct {
		title string
		role  capstanv1.VMRole
		patch string
	}{
		{"both load-balancer VMs are replaced", capstanv1.RoleLoadBalancer, `{"spec":{"loadBalancer":{"size":{"cpus":3}}}}`},
		{"all control-plane machines are replaced", capstanv1.RoleControlPlane, `{"spec":{"controlPlane":{"size":{"cpus":3}}}}`},
		{"both load-balancer VMs are replaced once more", capstanv1.RoleLoadBalancer, `{"spec":{"loadBalancer":{"size":{"cpus":4}}}}`},
	} {
		t.Run(part.title, func(t *testing.T) {
			c.t = t
			g := NewWithT(t)
			before := c.machines(g, part.role)
			users, commands := c.users()
			asking := ask(c.Ctx, users...)
			defer asking.Stop()
			c.Kubectl(g, "patch", "workloadcluster", shop.Name, "--type=merge", "-p", part.patch)
			c.settle(part.title)
			report := asking.Stop()
			for name, of := range report {
				t.Logf("%s: %d times, %d failed, the slowest took %d ms", name, of.asked, len(of.failures), of.slowest.Milliseconds())
			}
			g.Expect(report.check(commands, fewest)).To(Succeed())
			g.Expect(names(c.machines(g, part.role))).NotTo(ContainElements(BeElementOf(names(before)...)))
		})
	}
	t.Run("a refusal would have been noticed", func(t *testing.T) {
		c.t = t
		users, _ := c.users()
		for _, types := range users {
			wrong := types[0]
			wrong.args = append([]string{"--no-such-flag"}, wrong.args...)
			asking := &asking{outcomes: map[string]*outcome{}}
			asking.run(c.Ctx, wrong)
			NewWithT(t).Expect(report(asking.outcomes).check([]string{wrong.name}, 1)).To(MatchError(ContainSubstring("no-such-flag")))
		}
	})
}
