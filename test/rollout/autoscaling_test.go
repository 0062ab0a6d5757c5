package rollout_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func between(lowest, highest int32) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) {
		p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: lowest, Max: highest}
	}
}

// autoscale chooses a number of nodes as the cluster autoscaler does, which knows
// the MachineDeployment's scale subresource only.
func autoscale(ctx context.Context, pool *capstanv1.NodePool, replicas int32) {
	GinkgoHelper()
	change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":`+string('0'+replicas)+`}}`))
	Expect(env.Client.SubResource("scale").Patch(ctx, deploymentOf(ctx, Default, pool), change, client.FieldOwner("cluster-autoscaler"))).To(Succeed())
}

// expectWanted waits until the pool's status is of its present spec, and says so
// many nodes.
func expectWanted(ctx context.Context, pool *capstanv1.NodePool, wanted int32) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(env.Client.Get(ctx, keyOf(pool), pool)).To(Succeed())
		g.Expect(pool.Status.ObservedGeneration).To(Equal(pool.Generation))
		g.Expect(pool.Status.WantedReplicas).To(Equal(wanted))
		g.Expect(deploymentOf(ctx, g, pool).Spec.Replicas).To(HaveValue(Equal(wanted)))
		g.Expect(machinesOf(ctx, g, pool)).To(HaveLen(int(wanted)))
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("A NodePool with autoscaling", func() {
	It("keeps its nodes while their number changes hands, but for the bounds", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithReplicas(3))
		testenv.Update(ctx, env, pool, between(2, 5))
		expectWanted(ctx, pool, 3)
		Expect(deploymentOf(ctx, Default, pool).Annotations).To(And(
			HaveKeyWithValue(clusterv1.AutoscalerMinSizeAnnotation, "2"), HaveKeyWithValue(clusterv1.AutoscalerMaxSizeAnnotation, "5"),
		))
		autoscale(ctx, pool, 5)
		expectWanted(ctx, pool, 5)

		By("leaving the number alone in other edits")
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Labels = map[string]string{"tier": "web"} })
		expectWanted(ctx, pool, 5)

		By("bringing it within new bounds")
		testenv.Update(ctx, env, pool, between(2, 4))
		expectWanted(ctx, pool, 4)

		By("taking it back as it is")
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Autoscaling = nil })
		Expect(pool.Spec.Replicas).To(Equal(ptr.To[int32](4)))
		expectWanted(ctx, pool, 4)
		Expect(deploymentOf(ctx, Default, pool).Annotations).NotTo(HaveKey(clusterv1.AutoscalerMinSizeAnnotation))
		testenv.Update(ctx, env, pool, testenv.WithReplicas(2))
		expectWanted(ctx, pool, 2)
		Expect(observed.numbers(pool.Namespace)).To(Equal([]int32{3, 5, 4, 2}), "it went through no other")
		Expect(observed.machineSets(pool.Namespace)).To(Equal(1))
	})

	It("begins with as few as it may have, also none, and is raised with its bounds", func(ctx SpecContext) {
		pool := begin(ctx, between(0, 3))
		expectWanted(ctx, pool, 0)
		testenv.Update(ctx, env, pool, between(2, 3))
		expectWanted(ctx, pool, 2)
		Expect(observed.numbers(pool.Namespace)).To(Equal([]int32{0, 2}))
	})
})
