package clients

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
)

var options = fullstack.AddFlags(".clients")

const (
	hosts     = 3
	manifests = "testdata"
	patience  = 4 * time.Minute
	often     = 100 * time.Millisecond
)

var shop = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "shop"}

// cluster is the cluster whose machines are replaced.
type cluster struct {
	*fullstack.World
	t *testing.T
	// kubeconfig is the file that its users have.
	kubeconfig string
}

func start(t *testing.T) *cluster {
	t.Helper()
	g := NewWithT(t)
	haproxy, err := exec.LookPath("haproxy")
	g.Expect(err).NotTo(HaveOccurred(), "there is no HAProxy, and this test is of nothing else: hack/packages.sh lb installs it")
	o := *options
	o.Manifests, o.Hosts, o.Patience = manifests, hosts, patience
	// The fabric says what it lacks, and does not start.
	o.Args = map[string][]string{"fabric": {"--haproxy=" + haproxy, "--keepalived=on"}}
	c := &cluster{World: fullstack.Start(t, o), t: t}
	c.Kubectl(g, "apply", "-k", c.Manifests)
	c.settle("begins")
	c.kubeconfig = c.Kubeconfig(g, shop)
	return c
}

// users are people and programs that use the cluster: curl makes a connection for each
// request, and kubectl one for each command.
func (c *cluster) users() (users [][]command, names []string) {
	g := NewWithT(c.t)
	curl, err := exec.LookPath("curl")
	g.Expect(err).NotTo(HaveOccurred(), "there is no curl: hack/packages.sh lb curl installs it")
	text, err := os.ReadFile(c.kubeconfig)
	g.Expect(err).NotTo(HaveOccurred())
	config, trust, err := curlFiles(c.t.TempDir(), text)
	g.Expect(err).NotTo(HaveOccurred())
	kubectl := []string{"--kubeconfig", c.kubeconfig, "--cache-dir", c.t.TempDir()}
	all := []command{
		{"curl /readyz", curl, append(slices.Clone(trust), config.Host+"/readyz"), "ok"},
		{"curl /version", curl, append(slices.Clone(trust), config.Host+"/version"), "v1.36"},
		{"kubectl get nodes", c.Env.Kubectl(), append(slices.Clone(kubectl), "get", "nodes", "--no-headers"), "Ready"},
		{"kubectl get --raw /version", c.Env.Kubectl(), append(slices.Clone(kubectl), "get", "--raw", "/version"), "v1.36"},
	}
	for _, one := range all {
		names = append(names, one.name)
	}
	return [][]command{all[:2], all[2:]}, names
}

// settle waits until all that the spec says stands.
func (c *cluster) settle(what string) {
	c.t.Helper()
	began := time.Now()
	NewWithT(c.t).Eventually(c.Ctx, func(g Gomega) { c.stands(g) }).WithPolling(often).WithTimeout(patience).Should(Succeed())
	c.t.Logf("%s: all stands after %.1f s", what, time.Since(began).Seconds())
}

func (c *cluster) stands(g Gomega) {
	wlc, lb := &capstanv1.WorkloadCluster{}, &capstanv1.LoadBalancer{}
	g.Expect(c.API.Get(c.Ctx, shop, wlc)).To(Succeed())
	g.Expect(c.API.Get(c.Ctx, shop, lb)).To(Succeed())
	for _, object := range []demoenv.Conditioned{wlc, lb} {
		ready := demoenv.ReadyOf(object)
		g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), "%s: %s", ready.Reason, ready.Message)
	}
	balancers, members := c.machines(g, capstanv1.RoleLoadBalancer), c.machines(g, capstanv1.RoleControlPlane)
	g.Expect(balancers).To(HaveLen(2))
	g.Expect(members).To(HaveLen(3))
	for i := range balancers {
		g.Expect(balancers[i].Spec.Size).To(Equal(wlc.Spec.LoadBalancer.Size))
	}
	for i := range members {
		g.Expect(members[i].Spec.Size).To(Equal(wlc.Spec.ControlPlane.Size))
	}
	g.Expect(lb.Status.ReadyReplicas).To(BeEquivalentTo(2))
}

// machines are the VMs of one role, those that go included.
func (c *cluster) machines(g Gomega, role capstanv1.VMRole) []capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	g.Expect(c.API.List(c.Ctx, list, client.InNamespace(shop.Namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.Role != role })
}

func names(vms []capstanv1.VirtualMachine) []any {
	var names []any
	for i := range vms {
		names = append(names, vms[i].Name)
	}
	return names
}
