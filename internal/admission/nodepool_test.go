package admission_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

type nodePool = capstanv1.NodePool

var _ = Describe("A NodePool", func() {
	DescribeTable("is refused, with field and fix, for",
		func(ctx SpecContext, change func(*nodePool), want refusal) {
			namespace := env.Namespace(ctx, GinkgoT())
			env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
			Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", change))).To(refuse(want))
		},
		Entry("an image of another version", testenv.WithImage("linux-135"),
			refusal{"spec.image", "VMImage linux-135 has os Linux and kubernetesVersion v1.35.0, but os Linux and kubernetesVersion v1.36.3 are needed: name another image"}),
		Entry("an image that is not there", testenv.WithImage("linus"), refusal{"spec.image", "VMImage linus does not exist: add it"}),
		Entry("an OS that has no image", func(p *nodePool) { p.Spec.OS = capstanv1.OSWindows },
			refusal{"spec.os", "no VMImage has os Windows and kubernetesVersion v1.36.3: add one"}),
		Entry("an OS that is unknown", func(p *nodePool) { p.Spec.OS = "Plan9" }, refusal{"spec.os", "Unsupported value"}),
		Entry("the name of a control plane", func(p *nodePool) { p.Name = "shop-control-plane" },
			refusal{"metadata.name", "must not end in -control-plane"}),
		Entry("fewer than no replicas", testenv.WithReplicas(-1), refusal{"spec.replicas", "should be greater than or equal to 0"}),
		Entry("no memory", testenv.WithSize(testenv.NewSize(2, "0", "40Gi")), refusal{"spec.size.memory", "must be more than 0"}),
		Entry("no boot disk", testenv.WithSize(testenv.NewSize(2, "4Gi", "0")), refusal{"spec.size.bootDisk", "must be more than 0"}),
		Entry("more processors than any host has", testenv.WithSize(testenv.NewSize(17, "4Gi", "40Gi")),
			refusal{"spec.size.cpus", "no host has as many: the most is 16 (hv1)"}),
		Entry("more memory than any host can give", testenv.WithSize(testenv.NewSize(2, "63Gi", "40Gi")),
			refusal{"spec.size.memory", "no host can hold it: the most any has is 62Gi (hv1)"}),
		Entry("a boot disk that its image does not fit", testenv.WithSize(testenv.NewSize(2, "4Gi", "19Gi")),
			refusal{"spec.size.bootDisk", "must be at least 20Gi, the size of VMImage linux-136"}),
		Entry("a label that is none", func(p *nodePool) { p.Spec.Labels = map[string]string{"a b": "c"} }, refusal{"spec.labels", "name part must consist of"}),
		Entry("a label that kubelets refuse", func(p *nodePool) { p.Spec.Labels = map[string]string{"kubernetes.io/role": "web"} },
			refusal{"spec.labels[kubernetes.io/role]", "kubelets refuse it: use a domain of your own, or node-role.kubernetes.io"}),
		Entry("the name of its host as a label", func(p *nodePool) { p.Spec.Labels = map[string]string{"kubernetes.io/hostname": "web"} },
			refusal{"spec.labels[kubernetes.io/hostname]", "is set by each kubelet, to what is the case: leave it out"}),
		Entry("a label by which machines are found", func(p *nodePool) { p.Spec.Labels = map[string]string{"cluster.x-k8s.io/cluster-name": "market"} },
			refusal{"spec.labels[cluster.x-k8s.io/cluster-name]", "is reserved for Cluster API and Capstan"}),
		Entry("a label by which workers would count as control plane", func(p *nodePool) {
			p.Spec.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
		}, refusal{"spec.labels[node-role.kubernetes.io/control-plane]", "is reserved for Cluster API and Capstan"}),
		Entry("an annotation that is none", func(p *nodePool) { p.Spec.Annotations = map[string]string{"a b": "c"} },
			refusal{"spec.annotations", "name part must consist of"}),
		Entry("annotations that are too long", func(p *nodePool) { p.Spec.Annotations = map[string]string{"a": strings.Repeat("x", 257*1024)} },
			refusal{"spec.annotations", "may not be more than 262144 bytes"}),
		Entry("an annotation that would hold up Cluster API", func(p *nodePool) {
			p.Spec.Annotations = map[string]string{"pre-drain.delete.hook.machine.cluster.x-k8s.io/x": ""}
		}, refusal{"spec.annotations[pre-drain.delete.hook.machine.cluster.x-k8s.io/x]", "is reserved for Cluster API and Capstan"}),
		Entry("a taint that is there twice", func(p *nodePool) {
			p.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "a", Effect: corev1.TaintEffectNoSchedule}, {Key: "gpu", Value: "b", Effect: corev1.TaintEffectNoSchedule}}
		}, refusal{"spec.taints[1]", "Duplicate value: \"gpu:NoSchedule\""}),
		Entry("a taint that tells the state of a node", func(p *nodePool) {
			p.Spec.Taints = []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoExecute}}
		}, refusal{"spec.taints[0].key", "taints of node.kubernetes.io come and go with the state of a node"}),
		Entry("autoscaling with min above max", withAutoscaling(5, 3), refusal{"spec.autoscaling", "min cannot be above max: lower min or raise max"}),
		Entry("autoscaling to none at most", withAutoscaling(0, 0), refusal{"spec.autoscaling.max", "should be greater than or equal to 1"}),
		Entry("a taint without effect", func(p *nodePool) { p.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: "Never"}} },
			refusal{"spec.taints[0].effect", "supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""}),
		Entry("a taint that is none", func(p *nodePool) { p.Spec.Taints = []corev1.Taint{{Key: "a b", Effect: corev1.TaintEffectNoSchedule}} },
			refusal{"spec.taints[0].key", "name part must consist of"}),
		Entry("a roll-out that can never begin", func(p *nodePool) {
			p.Spec.Rollout.MaxSurge, p.Spec.Rollout.MaxUnavailable = ptr.To(intstr.FromInt32(0)), ptr.To(intstr.FromString("0%"))
		}, refusal{"spec.rollout", "maxSurge and maxUnavailable cannot both be 0"}),
		Entry("a surge that is no number", func(p *nodePool) { p.Spec.Rollout.MaxSurge = ptr.To(intstr.FromString("many")) },
			refusal{"spec.rollout.maxSurge", "should match"}),
		Entry("an unlimited drain", func(p *nodePool) { p.Spec.Rollout.DrainTimeout = metav1.Duration{Duration: -1} },
			refusal{"spec.rollout.drainTimeout", "must be more than 0, such as 10m"}),
	)

	DescribeTable("is refused for its name",
		func(ctx SpecContext, name, says string) {
			Expect(tryCreate(ctx, testenv.NewNodePool("default", name, "shop"))).To(MatchError(ContainSubstring(says)))
		},
		Entry("that is too long for host names", strings.Repeat("a", 52), "metadata.name must have at most 51 characters: the host names <name>-xxxxx-xxxxx are made from it"),
		Entry("that begins with a digit", "7shop", "metadata.name must begin with a letter"),
		Entry("with a dot", "shop.linux", "metadata.name must begin with a letter and hold only lower-case letters, digits and '-'"),
	)

	It("is accepted before its cluster, and judged when that is there", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithImage("linux-136"))
		env.Create(ctx, pool)
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
		pool.Spec.Image = "linux-137"
		Expect(env.Client.Update(ctx, pool)).To(refuse(refusal{"spec.image", "name another image"}))
	})

	It("is refused another cluster", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop")
		env.Create(ctx, pool)
		pool.Spec.ClusterName = "market"
		Expect(env.Client.Update(ctx, pool)).To(refuse(refusal{"spec.clusterName", "clusterName cannot be changed: make a new NodePool for the other cluster"}))
	})

	It("is not held to the boot disk that its cluster gives, where its image is larger", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop", func(c *cluster) {
			c.Spec.NodePoolDefaults.Size = testenv.NewSize(2, "4Gi", "10Gi")
		}))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop"))).To(Succeed())
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithSize(testenv.NewSize(2, "4Gi", "10Gi"))))).To(refuse(refusal{
			"spec.size.bootDisk", "must be at least 20Gi, the size of VMImage linux-136",
		}))
	})

	It("accepts one taint key with several effects, and annotations of any domain but ours", func(ctx SpecContext) {
		Expect(tryCreate(ctx, testenv.NewNodePool("default", "shop-linux", "shop", func(p *nodePool) {
			p.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}, {Key: "gpu", Effect: corev1.TaintEffectNoExecute}}
			p.Spec.Annotations = map[string]string{"example.org/Owner": "somebody, somewhere", "plain": ""}
		}))).To(Succeed())
	})

	It("accepts labels that are set by kubelets or Cluster API", func(ctx SpecContext) {
		Expect(tryCreate(ctx, testenv.NewNodePool("default", "shop-linux", "shop", func(p *nodePool) {
			p.Spec.Labels = map[string]string{"tier": "web", "node-role.kubernetes.io/web": "", "topology.kubernetes.io/zone": "a"}
		}))).To(Succeed())
	})
})
