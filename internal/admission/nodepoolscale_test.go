package admission_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func withAutoscaling(lowest, highest int32) func(*nodePool) {
	return func(p *nodePool) {
		p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: lowest, Max: highest}
	}
}

func withSurge(surge string) func(*nodePool) {
	return func(p *nodePool) { p.Spec.Rollout.MaxSurge = ptr.To(intstr.Parse(surge)) }
}

// applyPool applies a NodePool as a GitOps tool does.
func applyPool(ctx context.Context, namespace, spec string, opts ...client.ApplyOption) error {
	return applyYAML(ctx, namespace, `
apiVersion: capstan.dev/v1alpha1
kind: NodePool
metadata: {name: shop-linux}
spec: {clusterName: shop, `+spec+`}`, opts...)
}

func scaleTo(ctx context.Context, obj client.Object, replicas int32) error {
	return env.Client.SubResource("scale").Update(ctx, obj, client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}))
}

// warned collects the warnings that an API server answers with.
type warned struct{ texts []string }

func (w *warned) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

var _ = Describe("The number of nodes of a NodePool", func() {
	It("is 1 where nobody says it, and stands there for those who scale", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop")
		env.Create(ctx, pool)
		Expect(pool.Spec.Replicas).To(HaveValue(Equal(int32(1))))
		scale := &autoscalingv1.Scale{}
		Expect(env.Client.SubResource("scale").Get(ctx, pool, scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(Equal(int32(1)))
	})

	It("stays when a manifest stops saying it, as for a HorizontalPodAutoscaler", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(applyPool(ctx, namespace, "replicas: 3")).To(Succeed())
		Expect(applyPool(ctx, namespace, "os: Linux")).To(Succeed())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		Expect(pool.Spec.Replicas).To(HaveValue(Equal(int32(3))))
		Expect(scaleTo(ctx, pool, 5)).To(Succeed())
		Expect(applyPool(ctx, namespace, "os: Linux")).To(Succeed())
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		Expect(pool.Spec.Replicas).To(HaveValue(Equal(int32(5))))
	})

	It("is the autoscaler's once the manifest says so, and nobody's default is in the way", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(applyPool(ctx, namespace, "os: Linux")).To(Succeed())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		testenv.Update(ctx, env, pool, func(p *nodePool) { p.Spec.Autoscaling = &capstanv1.Autoscaling{Min: 1, Max: 3} })
		Expect(pool.Spec.Replicas).To(BeNil())
	})

	It("goes from manifest to autoscaler in one edit", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(applyPool(ctx, namespace, "replicas: 3")).To(Succeed())
		Expect(applyPool(ctx, namespace, "autoscaling: {min: 1, max: 5}")).To(Succeed())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		Expect(pool.Spec.Replicas).To(BeNil())
	})

	DescribeTable("is what the pool has when the autoscaler is taken away",
		func(ctx SpecContext, has, want int32) {
			pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop", withAutoscaling(2, 6))
			env.Create(ctx, pool)
			Expect(pool.Spec.Replicas).To(BeNil())
			testenv.UpdateStatus(ctx, env, pool, func(p *nodePool) { p.Status.WantedReplicas = has })
			testenv.Update(ctx, env, pool, func(p *nodePool) { p.Spec.Autoscaling = nil })
			Expect(pool.Spec.Replicas).To(HaveValue(Equal(want)))
		},
		Entry("within the bounds", int32(4), int32(4)),
		Entry("before anybody counted", int32(0), int32(2)),
		Entry("above the bounds", int32(9), int32(6)),
	)

	It("cannot be said by two", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(applyPool(ctx, namespace, "replicas: 3")).To(Succeed())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		both := refusal{"spec.replicas", `autoscaling chooses the number of nodes, and gitops set it, too: remove replicas ("replicas: null"), or remove autoscaling`}
		change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"autoscaling":{"min":1,"max":5}}}`))
		Expect(env.Client.Patch(ctx, pool, change, client.FieldOwner("somebody"))).To(refuse(both))
		Expect(applyPool(ctx, env.Namespace(ctx, GinkgoT()), "replicas: 3, autoscaling: {min: 1, max: 5}")).To(refuse(both))
		withFix := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":null,"autoscaling":{"min":1,"max":5}}}`))
		Expect(env.Client.Patch(ctx, pool, withFix, client.FieldOwner("somebody"))).To(Succeed())
	})

	It("cannot be scaled by hand while the autoscaler chooses it", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop", withAutoscaling(1, 5))
		env.Create(ctx, pool)
		Expect(scaleTo(ctx, pool, 3)).To(refuse(refusal{"spec.replicas",
			"the cluster autoscaler chooses the number of nodes: change spec.autoscaling of the NodePool, or remove it to scale by hand"}))
	})

	It("cannot be scaled below none, and can be scaled to none", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "shop")
		env.Create(ctx, pool)
		Expect(scaleTo(ctx, pool, -1)).To(MatchError(ContainSubstring("spec.replicas: Invalid value: -1: should be a non-negative integer")))
		Expect(scaleTo(ctx, pool, 0)).To(Succeed())
	})
})

// The network lan has 41 addresses for nodes.
var _ = Describe("A NodePool that its network cannot hold", func() {
	DescribeTable("is refused with the numbers",
		func(ctx SpecContext, change func(*nodePool), want refusal) {
			namespace := env.Namespace(ctx, GinkgoT())
			env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
			Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", change))).To(refuse(want))
		},
		Entry("for its replicas", testenv.WithReplicas(300), refusal{"spec.replicas",
			"LogicalNetwork lan has 41 node addresses; 300 nodes and 1 of surge need 301: lower replicas or add a nodeRange"}),
		Entry("for the surge alone", testenv.WithReplicas(41), refusal{"spec.replicas",
			"LogicalNetwork lan has 41 node addresses; 41 nodes and 1 of surge need 42"}),
		Entry("for a surge in percent", func(p *nodePool) {
			testenv.WithReplicas(33)(p)
			withSurge("25%")(p)
		}, refusal{"spec.replicas", "33 nodes and 9 of surge need 42"}),
		Entry("for what the autoscaler may do", withAutoscaling(1, 50), refusal{"spec.autoscaling.max",
			"LogicalNetwork lan has 41 node addresses; 50 nodes and 1 of surge need 51: lower autoscaling.max or add a nodeRange"}),
	)

	It("is accepted up to the last address, and without a surge at that", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithReplicas(40)))).To(Succeed())
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithReplicas(41), func(p *nodePool) {
			withSurge("0")(p)
			p.Spec.Rollout.MaxUnavailable = ptr.To(intstr.FromInt32(1))
		}))).To(Succeed())
	})

	It("is refused when it is edited or scaled there, and never on its way back", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithReplicas(60))
		env.Create(ctx, pool)
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
		Expect(scaleTo(ctx, pool, 61)).To(refuse(refusal{"spec.replicas", "61 nodes and 1 of surge need 62: lower replicas"}))
		Expect(scaleTo(ctx, pool, 50)).To(Succeed())
		testenv.Update(ctx, env, pool, func(p *nodePool) { p.Spec.Labels = map[string]string{"tier": "web"} })
		pool.Spec.Replicas = ptr.To[int32](55)
		Expect(env.Client.Update(ctx, pool)).To(refuse(refusal{"spec.replicas", "55 nodes and 1 of surge need 56"}))
	})

	It("now, because others hold the addresses, is accepted with a warning", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		network := testenv.NewLogicalNetwork("net-"+namespace, func(n *capstanv1.LogicalNetwork) { n.Spec.Switch = namespace })
		env.Create(ctx, network, testenv.NewWorkloadCluster(namespace, "shop", testenv.WithNetwork(network.Name)))
		testenv.UpdateStatus(ctx, env, network, func(n *capstanv1.LogicalNetwork) {
			n.Status.Nodes = &capstanv1.AddressCounts{Total: 41, Used: 31, Free: 10}
		})
		answers := &warned{}
		config := rest.CopyConfig(env.Config)
		config.WarningHandler = answers
		listening, err := client.New(config, client.Options{Scheme: env.Scheme})
		Expect(err).NotTo(HaveOccurred())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithReplicas(9))
		Expect(listening.Create(ctx, pool)).To(Succeed())
		Expect(answers.texts).To(BeEmpty())
		Expect(listening.SubResource("scale").Update(ctx, pool, client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 20}}))).To(Succeed())
		Expect(answers.texts).To(ConsistOf("only 10 of the 41 node addresses of LogicalNetwork " + network.Name +
			" are free now, and this pool may need 21 more: nodes that get none wait with reason NetworkFull"))
	})
})
