package ha

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

var options = fullstack.AddFlags(".ha")

const (
	hosts     = 3
	manifests = "../story/testdata"
	patience  = 4 * time.Minute
	often     = 100 * time.Millisecond
)

var shop = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "shop"}

// cluster is the cluster whose control plane changes.
type cluster struct {
	*fullstack.World
	t *testing.T
}

// start brings the product up, with flags of the fabric.
func start(t *testing.T, fabric ...string) *cluster {
	t.Helper()
	return startWith(t, hosts, map[string][]string{"fabric": fabric})
}

// startWith brings the product up on as many hosts, with flags of its processes.
func startWith(t *testing.T, hosts int, args map[string][]string) *cluster {
	t.Helper()
	o := *options
	o.Args = args
	o.Manifests, o.Hosts, o.Patience = manifests, hosts, patience
	return &cluster{World: fullstack.Start(t, o), t: t}
}

// threeMembers makes the cluster with a control plane of three, and tells how it is if the
// test fails. The auditor has seen the hosts before.
func (c *cluster) threeMembers(g Gomega) *demoenv.Auditor {
	auditor, err := c.Env.NewAuditor(c.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	t := c.t
	t.Cleanup(func() {
		if t.Failed() {
			c.explain()
		}
	})
	c.Kubectl(g, "apply", "-k", c.Manifests)
	c.settle(1)
	c.resize(3)
	return auditor
}

// leavesNothing deletes everything, and waits until the hosts are as they were.
func (c *cluster) leavesNothing(g Gomega, auditor *demoenv.Auditor) {
	c.Kubectl(g, "delete", "workloadcluster", shop.Name, "--timeout=3m")
	c.Kubectl(g, "delete", "--ignore-not-found", "-k", c.Manifests)
	g.Expect(auditor.WaitClean(c.Ctx, patience)).To(Succeed())
}

// resize is what a person does, and follows it to its end.
func (c *cluster) resize(members int) {
	c.Kubectl(NewWithT(c.t), "patch", "workloadcluster", shop.Name, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"controlPlane":{"replicas":%d}}}`, members))
	c.settle(members)
}

func (c *cluster) settle(members int) {
	c.t.Helper()
	began := time.Now()
	NewWithT(c.t).Eventually(c.Ctx, func(g Gomega) { c.stands(g, members) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
	c.t.Logf("%d members after %.1f s: %v", members, time.Since(began).Seconds(), c.places(NewWithT(c.t)))
}

// stands holds when all members are there and well, as the cluster, its etcd and
// its own nodes tell.
func (c *cluster) stands(g Gomega, members int) {
	wlc := &capstanv1.WorkloadCluster{}
	g.Expect(c.API.Get(c.Ctx, shop, wlc)).To(Succeed())
	ready := demoenv.ReadyOf(wlc)
	g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), "%s: %s", ready.Reason, ready.Message)
	g.Expect(*wlc.Spec.ControlPlane.Replicas).To(BeEquivalentTo(members))
	c.controlPlaneStands(g, members)
	table, err := c.Env.RunKubectl(c.Ctx, "--kubeconfig", c.Kubeconfig(g, shop), "get", "nodes", "--no-headers")
	g.Expect(err).NotTo(HaveOccurred())
	nodes := map[string]int{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 2 {
			nodes[fields[1]+" "+fields[2]]++
		}
	}
	g.Expect(nodes).To(Equal(map[string]int{"Ready control-plane": members, "Ready <none>": 1}))
}

// controlPlaneStands holds when all members are there and well, whatever else is not.
func (c *cluster) controlPlaneStands(g Gomega, members int) {
	kcp := &controlplanev1.KubeadmControlPlane{}
	g.Expect(c.API.Get(c.Ctx, client.ObjectKey{Namespace: shop.Namespace, Name: shop.Name + "-control-plane"}, kcp)).To(Succeed())
	g.Expect(meta.IsStatusConditionTrue(kcp.Status.Conditions, controlplanev1.KubeadmControlPlaneEtcdClusterHealthyCondition)).To(BeTrue())
	g.Expect(kcp.Status.ReadyReplicas).To(HaveValue(BeEquivalentTo(members)))
	g.Expect(c.members(g)).To(HaveLen(members))
}

// machines are all VMs of the cluster, load balancers too: who is another one has another
// UID.
func (c *cluster) machines(g Gomega) map[string]types.UID {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	uids := map[string]types.UID{}
	for i := range list.Items {
		uids[list.Items[i].Name] = list.Items[i].UID
	}
	return uids
}

// hosts are the names of all there are.
func (c *cluster) hosts(g Gomega) []string {
	list := &capstanv1.HyperVHostList{}
	g.Expect(c.API.List(c.Ctx, list)).To(Succeed())
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// holder is the host of the VM that has the VIP.
func (c *cluster) holder(g Gomega) string {
	lb := &capstanv1.LoadBalancer{}
	g.Expect(c.API.Get(c.Ctx, shop, lb)).To(Succeed())
	at := slices.IndexFunc(lb.Status.Instances, func(i capstanv1.LoadBalancerInstance) bool { return i.Role == "Active" })
	g.Expect(at).NotTo(Equal(-1))
	return lb.Status.Instances[at].Host
}

// members are the VMs of the control plane.
func (c *cluster) members(g Gomega) []capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.Role != capstanv1.RoleControlPlane })
}

func (c *cluster) places(g Gomega) map[string]string {
	places := map[string]string{}
	for _, vm := range c.members(g) {
		places[vm.Name] = vm.Spec.Placement.Host + "/" + vm.Spec.Placement.Disks[0].Volume
	}
	return places
}

// spread counts the members on each host and on each volume, the fewest first.
func (c *cluster) spread(g Gomega) (onHosts, onVolumes []int) {
	byHost, byVolume := map[string]int{}, map[string]int{}
	for _, vm := range c.members(g) {
		byHost[vm.Spec.Placement.Host]++
		byVolume[vm.Spec.Placement.Disks[0].Volume]++
	}
	return slices.Sorted(maps.Values(byHost)), slices.Sorted(maps.Values(byVolume))
}

// whileAsked does something while requests go through the VIP all the time, and
// returns how they fared.
func (c *cluster) whileAsked(do func()) probe.Report {
	g := NewWithT(c.t)
	asking, err := probe.Start(c.Ctx, probe.Options{Kubeconfig: c.kubeconfig(g)})
	g.Expect(err).NotTo(HaveOccurred())
	defer asking.Stop()
	do()
	report := asking.Stop()
	c.t.Log(report)
	return report
}
