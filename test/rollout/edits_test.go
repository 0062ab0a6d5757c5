package rollout_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

const (
	edits = 200
	// Every edit comes well within the quiet period after the one before.
	editEvery = 100 * time.Millisecond
)

var _ = Describe("Many edits of a NodePool", func() {
	It("converge to the last one with at most two roll-outs, and make no template for the others", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithReplicas(2), testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi")), needingNone)
		ticker := time.NewTicker(editEvery)
		defer ticker.Stop()
		for i := range edits {
			<-ticker.C
			change := []string{
				fmt.Sprintf(`{"spec":{"size":{"cpus":%d}}}`, 3+i%14),
				fmt.Sprintf(`{"spec":{"labels":{"edit":"%d"}}}`, i),
				fmt.Sprintf(`{"spec":{"replicas":%d}}`, 2+i%2),
			}[i%3]
			Expect(env.Client.Patch(ctx, pool, client.RawPatch(types.MergePatchType, []byte(change)))).To(Succeed())
		}
		Expect(pool.Spec.Size.CPUs).NotTo(Equal(int32(2)), "so that there is something to roll out")

		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, keyOf(pool), pool)).To(Succeed())
			g.Expect(pool.Status.PendingRollout).To(BeNil())
			md := deploymentOf(ctx, g, pool)
			g.Expect(md.Spec.Replicas).To(Equal(pool.Spec.Replicas))
			template := md.Spec.Template.Spec.InfrastructureRef.Name
			g.Expect(templatesOf(ctx, g, pool)).To(HaveKeyWithValue(template, pool.Spec.Size.CPUs))
			machines := machinesOf(ctx, g, pool)
			g.Expect(machines).To(HaveLen(int(*pool.Spec.Replicas)))
			for i := range machines {
				g.Expect(machines[i].Labels).To(HaveKeyWithValue("edit", pool.Spec.Labels["edit"]))
				g.Expect(templateOf(ctx, g, &machines[i])).To(Equal(template))
			}
		}).WithContext(ctx).WithTimeout(2 * time.Minute).Should(Succeed())
		rollouts := observed.machineSets(pool.Namespace) - 1
		AddReportEntry("roll-outs", rollouts)
		Expect(rollouts).To(And(BeNumerically(">=", 1), BeNumerically("<=", 2)))
		Expect(observed.templates(pool.Namespace)).To(Equal(1+rollouts), "what is not rolled out gets no template")
	})

	It("replace a roll-out that is stuck by its correction", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi")))
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Size.CPUs = 8 })
		Eventually(func() int { return observed.machineSets(pool.Namespace) }).WithContext(ctx).Should(Equal(2))
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Size.CPUs = 4 })
		Eventually(func() int { return observed.machineSets(pool.Namespace) }).WithContext(ctx).Should(Equal(3))
		Eventually(func(g Gomega) {
			wanted := deploymentOf(ctx, g, pool).Spec.Template.Spec.InfrastructureRef.Name
			g.Expect(templatesOf(ctx, g, pool)).To(HaveKeyWithValue(wanted, int32(4)))
		}).WithContext(ctx).Should(Succeed())
	})

	It("roll nothing if the last takes the others back", func(ctx SpecContext) {
		pool := begin(ctx, testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi")))
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Size.CPUs = 8 })
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonRolloutPending, ContainSubstring("a change that replaces them is pending since"))
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Size.CPUs = 2 })
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForMachines, Not(BeEmpty()))
		Expect(pool.Status.PendingRollout).To(BeNil())
		Expect(observed.machineSets(pool.Namespace)).To(Equal(1))
		Expect(templatesOf(ctx, Default, pool)).To(HaveLen(1))
	})
})
