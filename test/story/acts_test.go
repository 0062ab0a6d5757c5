package story

import (
	"fmt"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// Names in the manifests.
const (
	clusterName = "shop"
	poolName    = "shop-linux"
)

func named(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}
}

func (s *teller) apply() { s.Kubectl(NewWithT(s.t), "apply", "-k", s.Manifests) }

func (s *teller) scale(workers int) {
	s.Kubectl(NewWithT(s.t), "scale", "nodepool", poolName, fmt.Sprintf("--replicas=%d", workers))
}

// remove deletes the cluster, and when it is gone what it stood on: admission
// refuses to delete a network in use.
func (s *teller) remove() {
	g := NewWithT(s.t)
	s.Kubectl(g, "delete", "--wait=false", "--ignore-not-found", "-f", filepath.Join(s.Manifests, shopManifest))
	g.Eventually(s.Ctx, s.gone).WithPolling(lookInterval).WithTimeout(patience).Should(Succeed())
	s.Kubectl(g, "delete", "--ignore-not-found", "-k", s.Manifests)
}

// stands holds when the cluster is Ready, its API server says through the VIP that
// so many workers are, and everything behind it is there just once.
func (s *teller) stands(g Gomega, workers int) {
	cluster, pool := &capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}
	g.Expect(s.API.Get(s.Ctx, named(clusterName), cluster)).To(Succeed())
	g.Expect(s.API.Get(s.Ctx, named(poolName), pool)).To(Succeed())
	for _, object := range []demoenv.Conditioned{cluster, pool} {
		ready := demoenv.ReadyOf(object)
		g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), "%T: %s: %s", object, ready.Reason, ready.Message)
	}
	g.Expect([]int32{pool.Status.Replicas, pool.Status.ReadyReplicas}).To(HaveEach(int32(workers)))
	g.Expect(s.outcome(g)).To(Equal(expected(workers)))
	g.Expect(s.nodes(g)).To(Equal(map[string]int{"Ready": workers + 1}))
}

// gone holds when no object of the cluster is there any more.
func (s *teller) gone(g Gomega) {
	for _, object := range []client.Object{&capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}} {
		name := clusterName
		if _, pool := object.(*capstanv1.NodePool); pool {
			name = poolName
		}
		err := s.API.Get(s.Ctx, named(name), object)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%T %s is there (%v), held by %v", object, name, err, object.GetFinalizers())
	}
	vms := &capstanv1.VirtualMachineList{}
	g.Expect(s.API.List(s.Ctx, vms)).To(Succeed())
	g.Expect(vms.Items).To(BeEmpty())
}

// nodes counts the workload cluster's nodes by their state, as kubectl tells it
// through the VIP. That needs no manager and no agent, so nothing is retried.
func (s *teller) nodes(g Gomega) map[string]int {
	table, err := s.Env.RunKubectl(s.Ctx, "--kubeconfig", s.Kubeconfig(g, named(clusterName)), "get", "nodes", "--no-headers")
	if err != nil {
		StopTrying("the cluster's API server must answer, whoever else is killed").Wrap(err).Now()
	}
	states := map[string]int{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 1 {
			states[fields[1]]++
		}
	}
	return states
}

// explain tells what a person would ask for after a failure.
func (s *teller) explain() {
	for _, args := range [][]string{{"get", "capstan", "-A"}, {"get", "machines", "-A"}} {
		if table, err := s.Env.RunKubectl(s.Ctx, args...); err == nil {
			s.killer.log("kubectl %s\n%s", strings.Join(args, " "), table)
		}
	}
}
