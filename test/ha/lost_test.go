package ha

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// TestAHostThatStandsAloneIsLost is of one that is in no failover cluster: nobody
// but Capstan brings up elsewhere what lay on one of them.
func TestAHostThatStandsAloneIsLost(t *testing.T) {
	c := start(t, "--stand-alone")
	g := NewWithT(t)
	auditor := c.threeMembers(g)

	host := c.worker(g).Spec.Placement.Host
	buried := c.on(g, host)
	g.Expect(buried).To(ContainElement(HaveField("Spec.Role", capstanv1.RoleControlPlane)), "three members are on three hosts")
	var lost time.Time
	report := c.whileAsked(func() {
		lost = time.Now()
		g.Expect(c.Env.Admin.HostDown(c.Ctx, host)).To(Succeed())
		g.Eventually(c.Ctx, c.hostReady(host)).WithPolling(often).WithTimeout(patience).ShouldNot(Equal(metav1.ConditionTrue))
		g.Consistently(c.Ctx, func() int { return c.leaving(g) }).WithPolling(often).WithTimeout(3*time.Second).Should(BeZero(), "silence declares no loss")
		c.declareLost(g, host, true)
		g.Eventually(c.Ctx, func() []capstanv1.VirtualMachine { return c.on(g, host) }).WithPolling(often).WithTimeout(patience).Should(BeEmpty())
		c.settle(3)
	})
	// The VIP and a member behind it may fall silent together: one is waited for after
	// the other.
	g.Expect(report.LongestGap).To(BeNumerically("<", 2*takeoverWithin), "two of three members go on")
	t.Logf("the %d VMs of a lost host are replaced after %.1f s", len(buried), time.Since(lost).Seconds())
	c.expectBuried(g, buried)

	g.Expect(c.Env.Admin.HostUp(c.Ctx, host)).To(Succeed())
	c.declareLost(g, host, false)
	g.Eventually(c.Ctx, func(g Gomega) {
		remains := c.remains(g, buried)
		for i := range remains {
			g.Expect(remains[i].State).NotTo(Equal(fabricapi.Running), "%s comes back from the dead", remains[i].Name)
		}
		g.Expect(remains).To(BeEmpty())
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())
	g.Eventually(c.Ctx, func(g Gomega) { g.Expect(c.tombstones(g)).To(BeEmpty()) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
	c.settle(3)

	c.resize(1)
	c.loseTheOnlyMember(g)

	c.leavesNothing(g, auditor)
}

// loseTheOnlyMember takes away what Cluster API never replaces, and brings it back.
func (c *cluster) loseTheOnlyMember(g Gomega) {
	only := c.members(g)[0]
	g.Expect(c.Env.Admin.HostDown(c.Ctx, only.Spec.Placement.Host)).To(Succeed())
	c.declareLost(g, only.Spec.Placement.Host, true)
	g.Eventually(c.Ctx, func(g Gomega) {
		wlc := &capstanv1.WorkloadCluster{}
		g.Expect(c.API.Get(c.Ctx, shop, wlc)).To(Succeed())
		g.Expect(meta.FindStatusCondition(wlc.Status.Conditions, capstanv1.ControlPlaneReadyCondition)).To(And(
			HaveField("Reason", capstanv1.ReasonCannotRepair), HaveField("Message", ContainSubstring("restore the cluster"))))
	}).WithPolling(often).WithTimeout(patience).Should(Succeed())
	g.Expect(c.Env.Admin.HostUp(c.Ctx, only.Spec.Placement.Host)).To(Succeed())
	c.declareLost(g, only.Spec.Placement.Host, false)
	c.settle(1)
	g.Expect(c.members(g)[0].UID).To(Equal(only.UID))
	g.Expect(c.leaving(g)).To(BeZero(), "nothing is asked for any more")
}

func (c *cluster) declareLost(g Gomega, host string, lost bool) {
	c.Kubectl(g, "patch", "hypervhost", host, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"lost":%t}}`, lost))
}

func (c *cluster) worker(g Gomega) *capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	at := slices.IndexFunc(list.Items, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.Role == capstanv1.RoleWorker })
	g.Expect(at).NotTo(Equal(-1))
	return &list.Items[at]
}

// on are the VMs of all roles that are placed on a host.
func (c *cluster) on(g Gomega, host string) []capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(vm capstanv1.VirtualMachine) bool {
		return vm.Spec.Placement == nil || vm.Spec.Placement.Host != host
	})
}

// leaving counts the machines that are being deleted, or shall be.
func (c *cluster) leaving(g Gomega) int {
	list := &clusterv1.MachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	count := 0
	for i := range list.Items {
		if _, asked := list.Items[i].Annotations[clusterv1.RemediateMachineAnnotation]; asked || !list.Items[i].DeletionTimestamp.IsZero() {
			count++
		}
	}
	return count
}

func (c *cluster) tombstones(g Gomega) []capstanv1.Tombstone {
	list := &capstanv1.TombstoneList{}
	g.Expect(c.API.List(c.Ctx, list)).To(Succeed())
	return list.Items
}

// expectBuried expects a tombstone for each VM, which keeps its address for it.
func (c *cluster) expectBuried(g Gomega, vms []capstanv1.VirtualMachine) {
	taken := map[string]string{}
	living := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, living)).To(Succeed())
	for i := range living.Items {
		for _, address := range living.Items[i].Status.Addresses {
			taken[address] = living.Items[i].Name
		}
	}
	kept := map[string][]string{}
	for _, tombstone := range c.tombstones(g) {
		for _, a := range tombstone.Spec.Addresses {
			kept[tombstone.Name] = append(kept[tombstone.Name], a.Address)
		}
	}
	for i := range vms {
		g.Expect(kept).To(HaveKeyWithValue(vms[i].Spec.ID, ContainElements(vms[i].Status.Addresses)), vms[i].Name)
		for _, address := range vms[i].Status.Addresses {
			g.Expect(taken).NotTo(HaveKey(address), "it may still be used by %s", vms[i].Name)
		}
	}
}

// remains are what is left of VMs in the physical world.
func (c *cluster) remains(g Gomega, buried []capstanv1.VirtualMachine) []fabricapi.VM {
	world, err := c.Env.World(c.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	var left []fabricapi.VM
	for _, site := range world.Sites {
		for _, vm := range site.VMs {
			if vm.Stamp != nil && slices.ContainsFunc(buried, func(b capstanv1.VirtualMachine) bool { return b.Spec.ID == vm.Stamp.ID }) {
				left = append(left, vm)
			}
		}
	}
	return left
}
