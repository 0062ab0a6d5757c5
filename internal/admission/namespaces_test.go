package admission_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/testenv"
)

// keepNamespaces gives the API server the policy that it keeps namespaces by.
func keepNamespaces(ctx context.Context) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "webhook", "namespaces.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		obj := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), obj)).To(Succeed())
		env.Create(ctx, obj)
	}
}

// tryToDelete says what a deletion of the namespace would be answered.
func tryToDelete(ctx context.Context, namespace string) func() error {
	return func() error {
		return env.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, client.DryRunAll)
	}
}

var _ = Describe("The namespace of a protected WorkloadCluster", func() {
	const denied = "WorkloadCluster shop in it is protected from deletion: set spec.deletionProtection to false first"

	// What the API server knows of WorkloadClusters comes to it by a watch.
	It("stays, by the API server's own decision, for as long as that is so", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop", protected(true))
		env.Create(ctx, c, testenv.NewWorkloadCluster(namespace, "lab"))
		Eventually(tryToDelete(ctx, namespace)).WithContext(ctx).Should(MatchError(ContainSubstring(denied)))
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(env.Client.Delete(ctx, n)).To(MatchError(ContainSubstring(denied)))
		Expect(testenv.Get(ctx, env, n)()).To(HaveField("DeletionTimestamp", BeNil()))

		By("the cluster losing its protection, and getting it back")
		testenv.Update(ctx, env, c, protected(false))
		Eventually(tryToDelete(ctx, namespace)).WithContext(ctx).Should(Succeed())
		testenv.Update(ctx, env, c, protected(true))
		Eventually(tryToDelete(ctx, namespace)).WithContext(ctx).Should(MatchError(ContainSubstring(denied)))

		By("the cluster going")
		testenv.Update(ctx, env, c, func(c *cluster) { c.Spec.DeletionProtection, c.Finalizers = false, []string{"example.org/held"} })
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
		testenv.Update(ctx, env, c, protected(true))
		Eventually(tryToDelete(ctx, namespace)).WithContext(ctx).Should(Succeed())
		testenv.Update(ctx, env, c, func(c *cluster) { c.Finalizers = nil })
		Eventually(func() error { return env.Client.Delete(ctx, n) }).WithContext(ctx).Should(Succeed())
	})

	It("goes on going once it does, whatever becomes of the cluster", func(ctx SpecContext) {
		namespace, witness := env.Namespace(ctx, GinkgoT()), env.Namespace(ctx, GinkgoT())
		c, later := testenv.NewWorkloadCluster(namespace, "shop"), testenv.NewWorkloadCluster(witness, "shop")
		env.Create(ctx, c, later)
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		testenv.Update(ctx, env, n, func(n *corev1.Namespace) { n.Finalizers = []string{"example.org/held"} })
		Expect(env.Client.Delete(ctx, n)).To(Succeed())
		// The API server asks nobody about one that it holds itself.
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(n), n)).To(Succeed())
		n.Spec.Finalizers = nil
		Expect(env.Client.SubResource("finalize").Update(ctx, n)).To(Succeed())

		// One watch tells the API server of both clusters, one after the other.
		testenv.Update(ctx, env, c, protected(true))
		testenv.Update(ctx, env, later, protected(true))
		Eventually(tryToDelete(ctx, witness)).WithContext(ctx).Should(MatchError(ContainSubstring(denied)))
		Expect(env.Client.Delete(ctx, n)).To(Succeed())
		testenv.Update(ctx, env, n, func(n *corev1.Namespace) { n.Finalizers = nil })
	})

	It("is kept alone: its neighbours go", func(ctx SpecContext) {
		kept, neighbour, empty := env.Namespace(ctx, GinkgoT()), env.Namespace(ctx, GinkgoT()), env.Namespace(ctx, GinkgoT())
		env.Create(ctx, testenv.NewWorkloadCluster(kept, "shop", protected(true)), testenv.NewWorkloadCluster(neighbour, "shop"))
		Eventually(tryToDelete(ctx, kept)).WithContext(ctx).Should(MatchError(ContainSubstring(denied)))
		Expect(tryToDelete(ctx, neighbour)()).To(Succeed())
		Expect(tryToDelete(ctx, empty)()).To(Succeed())
	})
})
