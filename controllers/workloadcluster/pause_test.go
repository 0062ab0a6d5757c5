package workloadcluster_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func paused(is bool) func(*capstanv1.WorkloadCluster) {
	return func(c *capstanv1.WorkloadCluster) { c.Spec.Paused = is }
}

var _ = Describe("A WorkloadCluster that is paused", func() {
	const why = "roll-outs, scaling, repair and deletion stand still until"

	It("changes nothing, with its pools, says how to go on, and goes on", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		s.infrastructureReady(ctx)
		s.controlPlaneAt(ctx, testenv.Version)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop")
		env.Create(ctx, pool)
		md := deploymentOf(ctx, pool)
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, pool)
		env.ExpectReady(ctx, s.wlc)

		testenv.Update(ctx, env, s.wlc, paused(true))
		// What a controller hears of two objects is in no order.
		env.ExpectCondition(ctx, pool, capstanv1.PausedCondition, "True", capstanv1.ReasonPaused, Not(BeEmpty()))
		testenv.Update(ctx, env, s.wlc, testenv.WithControlPlane(3))
		testenv.Update(ctx, env, pool, testenv.WithReplicas(5))
		late := testenv.NewNodePool(s.namespace, "shop-late", "shop")
		env.Create(ctx, late)
		for _, obj := range []testenv.ConditionedObject{s.wlc, pool, late} {
			env.ExpectCondition(ctx, obj, capstanv1.ReadyCondition, "False", capstanv1.ReasonPaused, And(ContainSubstring(why), ContainSubstring("spec.paused is false")))
			env.ExpectCondition(ctx, obj, capstanv1.PausedCondition, "True", capstanv1.ReasonPaused, ContainSubstring(why))
		}
		Expect(testenv.Get(ctx, env, s.cluster)()).To(HaveField("Spec.Paused", HaveValue(BeTrue())))
		Expect(testenv.Get(ctx, env, s.controlPlane)()).To(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
		Expect(testenv.Get(ctx, env, md)()).To(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
		none := &clusterv1.MachineDeployment{}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(late), none)).To(MatchError(ContainSubstring("not found")))

		testenv.Update(ctx, env, s.wlc, paused(false))
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("Spec.Paused", BeNil()))
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(3)))))
		Eventually(testenv.Get(ctx, env, md)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(5)))))
		deploymentOf(ctx, late)
		for _, obj := range []testenv.ConditionedObject{s.wlc, pool, late} {
			Eventually(testenv.Get(ctx, env, obj)).WithContext(ctx).Should(WithTransform(func(o testenv.ConditionedObject) []string {
				var types []string
				for _, c := range o.GetConditions() {
					types = append(types, c.Type)
				}
				return types
			}, Not(ContainElement(capstanv1.PausedCondition))))
		}
	})

	It("is not deleted before it is resumed, even if somebody began with its Cluster", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop")
		env.Create(ctx, pool)
		md := deploymentOf(ctx, pool)
		testenv.Update(ctx, env, client.Object(s.cluster), hold)
		testenv.Update(ctx, env, s.wlc, paused(true))
		env.ExpectCondition(ctx, s.wlc, capstanv1.PausedCondition, "True", capstanv1.ReasonPaused, Not(BeEmpty()))
		for _, obj := range []client.Object{s.wlc, pool} {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed())
		}
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonDeleting, ContainSubstring(why))
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonDeleting, ContainSubstring(why))
		for _, child := range []client.Object{s.cluster, md, s.controlPlane} {
			Expect(testenv.Get(ctx, env, child)()).To(HaveField("DeletionTimestamp", BeNil()), "%T", child)
		}
		Expect(env.Client.Delete(ctx, s.cluster)).To(Succeed())

		testenv.Update(ctx, env, s.wlc, paused(false))
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("Spec.Paused", BeNil()))
		release(ctx, s.cluster)
		env.ExpectGone(ctx, pool)
		env.ExpectGone(ctx, s.wlc)
	})

	It("can be paused in the middle of its deletion", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		testenv.Update(ctx, env, client.Object(s.cluster), hold)
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed())
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		testenv.Update(ctx, env, s.wlc, paused(true))
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("Spec.Paused", HaveValue(BeTrue())))
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonDeleting, ContainSubstring(why))
		testenv.Update(ctx, env, s.wlc, paused(false))
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("Spec.Paused", BeNil()))
		release(ctx, s.cluster)
		env.ExpectGone(ctx, s.wlc)
	})

	It("by somebody else, in its Cluster, stands still until they let go", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		testenv.Update(ctx, env, s.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(true) })
		isHeld := func() {
			env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonPaused,
				Equal("Cluster shop was paused by somebody else: nothing is done until its spec.paused is false"))
		}
		isHeld()
		testenv.Update(ctx, env, s.wlc, testenv.WithControlPlane(3))
		isHeld()
		Expect(testenv.Get(ctx, env, s.controlPlane)()).To(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
		testenv.Update(ctx, env, s.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = nil })
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(3)))))
	})
})
