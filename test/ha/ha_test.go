package ha

import (
	"testing"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// TestAControlPlaneGrowsShrinksAndOutlivesTheLossOfAMinority is one cluster's life,
// told in order: what one part leaves is what the next begins with.
func TestAControlPlaneGrowsShrinksAndOutlivesTheLossOfAMinority(t *testing.T) {
	c := start(t)
	auditor, err := c.Env.NewAuditor(c.Ctx)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, part := range []struct {
		title string
		tell  func(g Gomega)
	}{
		{"one member", func(g Gomega) {
			c.Kubectl(g, "apply", "-k", c.Manifests)
			c.settle(1)
		}},
		{"one grows to three, on three hosts and three volumes", func(g Gomega) {
			g.Expect(c.whileAsked(func() { c.resize(3) }).CheckNone()).To(Succeed())
			onHosts, onVolumes := c.spread(g)
			g.Expect(onHosts).To(Equal([]int{1, 1, 1}))
			g.Expect(onVolumes).To(Equal([]int{1, 1, 1}))
			g.Expect(c.toldOfSharing(g)).To(BeEmpty())
		}},
		{"three lose one, then their quorum, and heal", func(Gomega) { c.loseQuorum() }},
		{"three grow to five, as far apart as three hosts and four volumes let them", func(g Gomega) {
			g.Expect(c.whileAsked(func() { c.resize(5) }).CheckNone()).To(Succeed())
			onHosts, onVolumes := c.spread(g)
			g.Expect(onHosts).To(Equal([]int{1, 2, 2}))
			g.Expect(onVolumes).To(Equal([]int{1, 1, 1, 2}))
			g.Expect(c.toldOfSharing(g)).To(HaveLen(2), "the fourth and the fifth share a host")
		}},
		{"five shrink to three", func(g Gomega) { g.Expect(c.whileAsked(func() { c.resize(3) }).CheckNone()).To(Succeed()) }},
		{"three shrink to one", func(g Gomega) { g.Expect(c.whileAsked(func() { c.resize(1) }).CheckNone()).To(Succeed()) }},
		{"nothing is left", func(g Gomega) {
			c.leavesNothing(g, auditor)
		}},
	} {
		t.Run(part.title, func(t *testing.T) {
			c.t = t
			part.tell(NewWithT(t))
		})
		if c.t = t; t.Failed() {
			c.explain()
			return
		}
	}
}

// toldOfSharing are the members of which events say that one fault can hit them
// together with others.
func (c *cluster) toldOfSharing(g Gomega) map[string]string {
	list := &eventsv1.EventList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	told := map[string]string{}
	for i := range list.Items {
		event := &list.Items[i]
		for _, vm := range c.members(g) {
			if event.Reason == "SharesPlace" && event.Regarding.Kind == "VirtualMachine" && event.Regarding.UID == vm.UID && vm.Spec.Role == capstanv1.RoleControlPlane {
				told[vm.Name] = event.Note
			}
		}
	}
	return told
}

// explain tells what a person would ask for after a failure.
func (c *cluster) explain() {
	for _, kinds := range []string{"capstan", "machines,kubeadmcontrolplanes"} {
		if table, err := c.Env.RunKubectl(c.Ctx, "get", kinds, "-A"); err == nil {
			c.t.Logf("kubectl get %s -A\n%s", kinds, table)
		}
	}
}
