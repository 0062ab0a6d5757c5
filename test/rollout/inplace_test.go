package rollout_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func keyOf(pool *capstanv1.NodePool) types.NamespacedName { return client.ObjectKeyFromObject(pool) }

func uidsOf(machines []clusterv1.Machine) []types.UID {
	uids := make([]types.UID, 0, len(machines))
	for i := range machines {
		uids = append(uids, machines[i].UID)
	}
	return uids
}

var _ = Describe("Labels and annotations of a NodePool", func() {
	It("reach the machines there are, and are taken off again", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithReplicas(2))
		before := uidsOf(machinesOf(ctx, Default, pool))
		expect := func(labels, annotations, gone []string) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				machines := machinesOf(ctx, g, pool)
				g.Expect(uidsOf(machines)).To(ConsistOf(before), "no machine is replaced")
				for i := range machines {
					for _, key := range labels {
						g.Expect(machines[i].Labels).To(HaveKeyWithValue(key, "yes"))
					}
					for _, key := range annotations {
						g.Expect(machines[i].Annotations).To(HaveKeyWithValue(key, "yes"))
					}
					for _, key := range gone {
						g.Expect(machines[i].Labels).NotTo(HaveKey(key))
						g.Expect(machines[i].Annotations).NotTo(HaveKey(key))
					}
				}
			}).WithContext(ctx).Should(Succeed())
		}
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) {
			p.Spec.Labels = map[string]string{"tier": "yes", "node-role.kubernetes.io/web": "yes"}
			p.Spec.Annotations = map[string]string{"example.org/owner": "yes"}
		})
		expect([]string{"tier", "node-role.kubernetes.io/web"}, []string{"example.org/owner"}, nil)
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) {
			p.Spec.Labels = map[string]string{"tier": "yes"}
			p.Spec.Annotations = nil
		})
		expect([]string{"tier"}, nil, []string{"node-role.kubernetes.io/web", "example.org/owner"})
		Expect(observed.machineSets(pool.Namespace)).To(Equal(1))
	})
})

var _ = Describe("A NodePool whose roll-out is paused", func() {
	It("gets its first nodes, scales and is labelled, and rolls once the pause ends", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithReplicas(2), testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi")),
			func(p *capstanv1.NodePool) { p.Spec.Rollout.Paused = true })
		Eventually(func(g Gomega) { g.Expect(deploymentOf(ctx, g, pool).Spec.Paused).To(HaveValue(BeTrue())) }).WithContext(ctx).Should(Succeed())
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Size.CPUs = 8 })
		Eventually(func(g Gomega) { g.Expect(templatesOf(ctx, g, pool)).To(HaveLen(2)) }).WithContext(ctx).Should(Succeed())
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) {
			p.Spec.Replicas = ptr.To[int32](4)
			p.Spec.Labels = map[string]string{"tier": "web"}
		})
		Eventually(func(g Gomega) {
			machines := machinesOf(ctx, g, pool)
			g.Expect(machines).To(HaveLen(4))
			g.Expect(machines).To(HaveEach(HaveField("ObjectMeta.Labels", HaveKeyWithValue("tier", "web"))))
		}).WithContext(ctx).Should(Succeed())
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForMachines, ContainSubstring("; the roll-out is paused"))
		Expect(observed.machineSets(pool.Namespace)).To(Equal(1), "nothing is replaced meanwhile")

		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Rollout.Paused = false })
		Eventually(func() int { return observed.machineSets(pool.Namespace) }).WithContext(ctx).Should(Equal(2))
	})
})
