package ha

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// TestVMsWithoutObjectsAreSweptAndNothingElse is what comes of a person who takes a
// finalizer away: a load balancer's VM runs on and nobody knows it any more. It is reported,
// and removed after its grace period. Of several at once none is removed before a person
// has said so.
func TestVMsWithoutObjectsAreSweptAndNothingElse(t *testing.T) {
	c := startWith(t, hosts, map[string][]string{"manager": {
		"--orphan-removal=all", "--orphan-grace-period=20s", "--orphan-sweep-interval=5s", "--orphan-freeze-above=1",
	}})
	g := NewWithT(t)
	auditor, err := c.Env.NewAuditor(c.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if t.Failed() {
			c.explain()
		}
	})
	c.Kubectl(g, "apply", "-k", c.Manifests)
	c.settle(1)

	t.Log("one VM loses its object")
	lost := c.balancers(g)[:1]
	others := c.physicalBut(g, lost)
	c.disown(g, lost)
	c.awaitOrphan(g, &lost[0], capstanv1.OrphanWaiting)
	c.awaitGone(g, lost)
	now := c.physicalBut(g, nil)
	for guid, name := range others {
		g.Expect(now).To(HaveKeyWithValue(guid, name), "no other VM is touched")
	}
	c.settle(1)

	t.Log("two VMs lose their objects at once")
	lost = c.balancers(g)
	g.Expect(lost).To(HaveLen(2), "there is another one for the first")
	others = c.physicalBut(g, lost)
	c.disown(g, lost)
	for i := range lost {
		c.awaitOrphan(g, &lost[i], capstanv1.OrphanFrozen)
	}
	g.Expect(c.remains(g, lost)).To(HaveLen(2))
	c.acknowledge(g)
	c.awaitGone(g, lost)
	now = c.physicalBut(g, nil)
	for guid, name := range others {
		g.Expect(now).To(HaveKeyWithValue(guid, name), "no other VM is touched")
	}
	c.settle(1)
	c.leavesNothing(g, auditor)
}

// balancers are the VMs of load balancers.
func (c *cluster) balancers(g Gomega) []capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace), client.HasLabels{capstanv1.LoadBalancerLabel})).To(Succeed())
	g.Expect(list.Items).NotTo(BeEmpty())
	return list.Items
}

// disown takes objects away though their VMs are there. They are paused before, or their
// finalizers would be put back.
func (c *cluster) disown(g Gomega, vms []capstanv1.VirtualMachine) {
	for i := range vms {
		c.Kubectl(g, "annotate", "--overwrite", "virtualmachine", vms[i].Name, clusterv1.PausedAnnotation+"=")
	}
	for i := range vms {
		c.Kubectl(g, "patch", "virtualmachine", vms[i].Name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		c.Kubectl(g, "delete", "virtualmachine", vms[i].Name)
	}
	g.Expect(c.remains(g, vms)).To(HaveLen(len(vms)))
}

// physicalBut are all VMs of all hosts but some, by what their hypervisors call them.
func (c *cluster) physicalBut(g Gomega, some []capstanv1.VirtualMachine) map[string]string {
	world, err := c.Env.World(c.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	all := map[string]string{}
	for _, site := range world.Sites {
		for _, vm := range site.VMs {
			all[vm.GUID] = vm.Name
		}
	}
	for _, vm := range c.remains(g, some) {
		maps.DeleteFunc(all, func(guid, _ string) bool { return guid == vm.GUID })
	}
	return all
}

// awaitOrphan waits until a host tells of a VM as an orphan in a state.
func (c *cluster) awaitOrphan(g Gomega, vm *capstanv1.VirtualMachine, state capstanv1.OrphanState) {
	g.Eventually(c.Ctx, func(g Gomega) {
		hosts := &capstanv1.HyperVHostList{}
		g.Expect(c.API.List(c.Ctx, hosts)).To(Succeed())
		var told []string
		for i := range hosts.Items {
			for _, orphan := range hosts.Items[i].Status.Orphans {
				told = append(told, fmt.Sprintf("%s %s %s", orphan.ID, orphan.Owner, orphan.State))
			}
		}
		g.Expect(told).To(ContainElement(fmt.Sprintf("%s %s/%s %s", vm.Spec.ID, vm.Namespace, vm.Name, state)))
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())
}

// awaitGone waits until nothing is left of orphans, and no host speaks of any.
func (c *cluster) awaitGone(g Gomega, vms []capstanv1.VirtualMachine) {
	g.Eventually(c.Ctx, func(g Gomega) {
		g.Expect(c.remains(g, vms)).To(BeEmpty())
		hosts := &capstanv1.HyperVHostList{}
		g.Expect(c.API.List(c.Ctx, hosts)).To(Succeed())
		for i := range hosts.Items {
			g.Expect(hosts.Items[i].Status.Orphans).To(BeEmpty())
			free := conditions.Get(&hosts.Items[i], capstanv1.FreeOfOrphansCondition)
			g.Expect(free).To(HaveValue(HaveField("Status", metav1.ConditionTrue)))
		}
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())
}

// acknowledge does on each host what the message of its condition asks for.
func (c *cluster) acknowledge(g Gomega) {
	hosts := &capstanv1.HyperVHostList{}
	g.Expect(c.API.List(c.Ctx, hosts)).To(Succeed())
	for i := range hosts.Items {
		if command, ok := acknowledgement(&hosts.Items[i]); ok {
			c.Kubectl(g, command...)
		}
	}
}

// acknowledgement is the command for kubectl that the condition of a host names.
func acknowledgement(host *capstanv1.HyperVHost) (args []string, ok bool) {
	free := conditions.Get(host, capstanv1.FreeOfOrphansCondition)
	if free == nil {
		return nil, false
	}
	_, command, ok := strings.Cut(free.Message, ": kubectl ")
	return strings.Fields(command), ok
}
