package admission_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// short is what users write, word for word.
const short = `
apiVersion: capstan.dev/v1alpha1
kind: WorkloadCluster
metadata: {name: shop}
spec:
  version: v1.36.3
  logicalNetwork: lan
  controlPlane: {replicas: 1}
---
apiVersion: capstan.dev/v1alpha1
kind: NodePool
metadata: {name: shop-linux}
spec: {clusterName: shop, replicas: 1}
`

// spelled is full of what a server might be tempted to write otherwise.
const spelled = `
apiVersion: capstan.dev/v1alpha1
kind: NodePool
metadata: {name: shop-large, labels: {app: shop}}
spec:
  clusterName: shop
  size:
    memory: 4096Mi
    bootDisk: "64424509440"
    dataDisks: [{name: data, size: 0.5Ti}]
  taints: [{key: gpu, effect: NoSchedule}]
  rollout: {maxSurge: 25%, drainTimeout: 600s}
`

// applyYAML applies one object as a GitOps tool does.
func applyYAML(ctx context.Context, namespace, manifest string, opts ...client.ApplyOption) error {
	obj := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(manifest), obj)).To(Succeed())
	obj.SetNamespace(namespace)
	return env.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), append(opts, client.FieldOwner("gitops"))...)
}

func kubectl(ctx context.Context, stdin string, args ...string) string {
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	if stdin != "" {
		path := filepath.Join(GinkgoT().TempDir(), "manifest.yaml")
		Expect(os.WriteFile(path, []byte(stdin), 0o600)).To(Succeed())
		cmd.Args = append(cmd.Args, "-f", path)
	}
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%v: %s", args, out)
	return string(out)
}

var _ = Describe("What users type", func() {
	It("is accepted as short as it is, and applying it again changes nothing", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		for _, flags := range [][]string{{}, {"--server-side", "--force-conflicts"}} {
			apply := append([]string{"apply", "-n", namespace}, flags...)
			kubectl(ctx, short, apply...)
			kubectl(ctx, spelled, apply...)
			versions := kubectl(ctx, "", "get", "wlc,np", "-n", namespace, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
			kubectl(ctx, short, apply...)
			kubectl(ctx, spelled, apply...)
			Expect(kubectl(ctx, "", "get", "wlc,np", "-n", namespace, "-o", "jsonpath={.items[*].metadata.resourceVersion}")).To(Equal(versions))

			By("which kubectl diff, by which GitOps tools tell drift, says too: it fails on any difference")
			diff := append([]string{"diff", "-n", namespace}, flags...)
			Expect(kubectl(ctx, short, diff...)).To(BeEmpty())
			Expect(kubectl(ctx, spelled, diff...)).To(BeEmpty())
		}
	})

	It("is accepted in any order", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(applyYAML(ctx, namespace, spelled)).To(Succeed())
		kubectl(ctx, short, "apply", "-n", namespace)
	})

	It("lists all of Capstan's kinds as one category", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		kubectl(ctx, short, "apply", "-n", namespace)
		out := kubectl(ctx, "", "get", "capstan", "-n", namespace)
		Expect(out).To(And(
			ContainSubstring("workloadcluster.capstan.dev/shop"), ContainSubstring("nodepool.capstan.dev/shop-linux"),
			ContainSubstring("hypervhost.capstan.dev/hv1"), ContainSubstring("logicalnetwork.capstan.dev/lan"), ContainSubstring("vmimage.capstan.dev/linux-136"),
		))
	})

	It("scales a NodePool through the scale subresource", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop")
		env.Create(ctx, pool)
		testenv.UpdateStatus(ctx, env, pool, func(p *capstanv1.NodePool) { p.Status.Replicas, p.Status.Selector = 1, "a=b" })
		kubectl(ctx, "", "scale", "nodepool", "shop-linux", "--replicas=3", "-n", pool.Namespace)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		Expect(pool.Spec.Replicas).To(HaveValue(Equal(int32(3))))

		scale := &autoscalingv1.Scale{}
		Expect(env.Client.SubResource("scale").Get(ctx, pool, scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(Equal(int32(3)))
		Expect(scale.Status.Replicas).To(Equal(int32(1)))
		Expect(scale.Status.Selector).To(Equal("a=b"))
	})

	It("is explained by kubectl explain, defaults included", func(ctx SpecContext) {
		Expect(kubectl(ctx, "", "explain", "workloadcluster.spec.controlPlane.replicas")).To(ContainSubstring("Defaults to 3"))
		Expect(kubectl(ctx, "", "explain", "nodepool.spec.size")).To(ContainSubstring("Defaults to nodePoolDefaults.size of the cluster"))
	})
})
