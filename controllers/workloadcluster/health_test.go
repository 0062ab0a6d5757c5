package workloadcluster_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("Whoever judges health", func() {
	It("agrees with everybody else at every moment of a cluster's life", func(ctx SpecContext) {
		s := newStory(ctx)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop")
		watched := env.WatchHealth(ctx, s.namespace, capstanv1.GroupVersion.WithKind("WorkloadCluster"), capstanv1.GroupVersion.WithKind("NodePool"))

		By("applying the pool before its cluster")
		env.Create(ctx, pool)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForWorkloadCluster, Not(BeEmpty()))
		s.begin(ctx)
		s.infrastructureReady(ctx)
		s.controlPlaneAt(ctx, testenv.Version)
		md := deploymentOf(ctx, pool)
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, pool)
		env.ExpectReady(ctx, s.wlc)

		By("changing the specs")
		testenv.Update(ctx, env, pool, testenv.WithReplicas(3))
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForMachines, Not(BeEmpty()))
		Eventually(testenv.Get(ctx, env, md)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(3)))))
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, pool)
		env.ExpectReady(ctx, s.wlc)
		testenv.Update(ctx, env, s.wlc, testenv.WithVersion("v1.37.0"))
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForControlPlane, Not(BeEmpty()))
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("Spec.Version", "v1.37.0"))
		Eventually(testenv.Get(ctx, env, s.infra)).WithContext(ctx).Should(HaveField("Spec.LoadBalancer.Image", "linux-136"),
			"the VIP is not moved for a version that load balancers have no part in")
		s.controlPlaneAt(ctx, "v1.37.0")
		Eventually(testenv.Get(ctx, env, md)).WithContext(ctx).Should(HaveField("Spec.Template.Spec.Version", "v1.37.0"))
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, pool)
		env.ExpectReady(ctx, s.wlc)

		By("deleting, held up by Cluster API")
		testenv.Update(ctx, env, md, func(md *clusterv1.MachineDeployment) { hold(md) })
		testenv.Update(ctx, env, s.cluster, func(c *clusterv1.Cluster) { hold(c) })
		for _, obj := range []testenv.ConditionedObject{pool, s.wlc} {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed())
			env.ExpectCondition(ctx, obj, capstanv1.ReadyCondition, "False", capstanv1.ReasonDeleting, Not(BeEmpty()))
		}
		release(ctx, md)
		release(ctx, s.cluster)
		env.ExpectGone(ctx, pool)
		env.ExpectGone(ctx, s.wlc)

		verdicts, err := watched.Stop()
		Expect(err).NotTo(HaveOccurred())
		every := map[status.Status]bool{status.InProgressStatus: true, status.CurrentStatus: true, status.TerminatingStatus: true}
		Expect(verdicts).To(Equal(map[string]map[status.Status]bool{"WorkloadCluster/shop": every, "NodePool/shop-linux": every}), "every stage was seen")
	})

	It("takes nothing for healthy that no controller has seen", func(ctx SpecContext) {
		for _, obj := range []client.Object{
			testenv.NewLogicalNetwork("unseen-" + env.Namespace(ctx, GinkgoT())),
			testenv.NewVMImage("unseen-"+env.Namespace(ctx, GinkgoT()), "v1.32.1"),
			testenv.NewHyperVHost("unseen-" + env.Namespace(ctx, GinkgoT())),
		} {
			env.Create(ctx, obj)
			gvk, err := env.Client.GroupVersionKindFor(obj)
			Expect(err).NotTo(HaveOccurred())
			stored := &unstructured.Unstructured{}
			stored.SetGroupVersionKind(gvk)
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(obj), stored)).To(Succeed())
			result, err := status.Compute(stored)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.Status).To(Equal(status.InProgressStatus), "%s", gvk.Kind)
			Expect(testenv.CheckHealthAgrees(stored)).To(Succeed())
		}
	})
})
