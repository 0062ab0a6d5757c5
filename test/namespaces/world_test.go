package namespaces

import (
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
)

// Names in the manifest that every team applies.
const (
	name = "shop"
	pool = "shop-linux"
)

type world struct{ *fullstack.World }

// begin applies the team's manifest in its namespace.
func (w *world) begin(g Gomega, namespace string) {
	w.Kubectl(g, "create", "namespace", namespace)
	w.Kubectl(g, "-n", namespace, "apply", "-f", filepath.Join(w.Manifests, "shop.yaml"))
}

func (w *world) cluster(g Gomega, namespace string) *capstanv1.WorkloadCluster {
	cluster := &capstanv1.WorkloadCluster{}
	g.Expect(w.API.Get(w.Ctx, client.ObjectKey{Namespace: namespace, Name: name}, cluster)).To(Succeed())
	return cluster
}

func (w *world) awaitReady(g Gomega, namespace string) {
	g.Eventually(w.Ctx, func(g Gomega) {
		ready := demoenv.ReadyOf(w.cluster(g, namespace))
		g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), "%s: %s: %s", namespace, ready.Reason, ready.Message)
	}).WithTimeout(patience).WithPolling(interval).Should(Succeed())
}

// nodes are those that the cluster's own API server tells of through its VIP.
func (w *world) nodes(g Gomega, namespace string) []string {
	file := w.Kubeconfig(g, client.ObjectKey{Namespace: namespace, Name: name})
	names, err := w.Env.RunKubectl(w.Ctx, "--kubeconfig", file, "get", "nodes", "-o", "name")
	g.Expect(err).NotTo(HaveOccurred())
	return strings.Fields(names)
}

// explain tells what a person would ask for after a failure.
func (w *world) explain(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"get", "capstan", "-A", "-o", "wide"}, {"get", "machines,clusters,ipaddressclaims", "-A"}, {"get", "namespaces", "-o", "yaml"}} {
		if table, err := w.Env.RunKubectl(w.Ctx, args...); err == nil {
			t.Logf("kubectl %s\n%s", strings.Join(args, " "), table)
		}
	}
}
