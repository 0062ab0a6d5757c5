package admission_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func protected(is bool) func(*cluster) {
	return func(c *cluster) { c.Spec.DeletionProtection = is }
}

// standFor returns the Cluster that stands for a WorkloadCluster.
func standFor(c *cluster) *clusterv1.Cluster {
	return &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: c.Name, Labels: map[string]string{capstanv1.WorkloadClusterLabel: c.Name},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, capstanv1.GroupVersion.WithKind("WorkloadCluster"))},
		},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVCluster", Name: c.Name,
		}},
	}
}

// guards are the webhooks that guard others than WorkloadClusters.
func guards(ctx context.Context) []admissionregistrationv1.ValidatingWebhook {
	admin, err := kubernetes.NewForConfig(env.Config)
	Expect(err).NotTo(HaveOccurred())
	config, err := admin.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, "capstan-protection", metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	return config.Webhooks
}

var _ = Describe("Protection from deletion", func() {
	const fix = "set spec.deletionProtection to false first"

	It("holds a WorkloadCluster until it is taken off", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true))
		env.Create(ctx, c)
		Expect(env.Client.Delete(ctx, c)).To(MatchError(ContainSubstring("it is protected from deletion: " + fix)))
		Expect(env.Client.DeleteAllOf(ctx, &cluster{}, client.InNamespace(c.Namespace))).To(MatchError(ContainSubstring(fix)))
		Expect(testenv.Get(ctx, env, c)()).To(HaveField("DeletionTimestamp", BeNil()))
		testenv.Update(ctx, env, c, protected(false))
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
	})

	It("is asked of webhooks only where something stands for a WorkloadCluster", func(ctx SpecContext) {
		keys := map[string]string{}
		for _, w := range guards(ctx) {
			Expect(w.ObjectSelector.MatchExpressions).To(HaveLen(1))
			Expect(w.ObjectSelector.MatchExpressions[0].Operator).To(Equal(metav1.LabelSelectorOpExists))
			keys[w.Name] = w.ObjectSelector.MatchExpressions[0].Key
		}
		Expect(keys).To(Equal(map[string]string{"cluster.protection.capstan.dev": capstanv1.WorkloadClusterLabel}))
	})

	It("holds the Cluster that stands for it, unless it goes itself", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true), func(c *cluster) { c.Finalizers = []string{"example.org/held"} })
		env.Create(ctx, c)
		stands := standFor(c)
		env.Create(ctx, stands)
		Expect(env.Client.Delete(ctx, stands)).To(MatchError(ContainSubstring("WorkloadCluster shop, which it stands for, is protected from deletion: " + fix)))
		testenv.Update(ctx, env, c, protected(false))
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
		testenv.Update(ctx, env, c, protected(true))
		Expect(env.Client.Delete(ctx, stands)).To(Succeed())
		testenv.Update(ctx, env, c, func(c *cluster) { c.Finalizers = nil })
	})

	It("says nothing of a Cluster that only bears its name", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true))
		env.Create(ctx, c)
		foreign := standFor(c)
		foreign.OwnerReferences = nil
		lost := standFor(c)
		lost.Name, lost.Labels[capstanv1.WorkloadClusterLabel] = "lost", "lost"
		for _, obj := range []client.Object{foreign, lost} {
			env.Create(ctx, obj)
			Expect(env.Client.Delete(ctx, obj)).To(Succeed())
		}
	})

	It("fails closed, and looks at deletions alone", func(ctx SpecContext) {
		for _, w := range guards(ctx) {
			Expect(*w.FailurePolicy).To(Equal(admissionregistrationv1.Fail), w.Name)
			Expect(w.Rules).To(HaveEach(HaveField("Operations", ConsistOf(admissionregistrationv1.Delete))), w.Name)
		}
	})
})
