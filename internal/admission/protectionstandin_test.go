package admission_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// standIns are what controllers make for a WorkloadCluster.
type standIns struct {
	cluster      *clusterv1.Cluster
	infra        *infrav1.HyperVCluster
	controlPlane *controlplanev1.KubeadmControlPlane
	loadBalancer *capstanv1.LoadBalancer
}

func (s *standIns) all() []client.Object {
	return []client.Object{s.cluster, s.controlPlane, s.infra, s.loadBalancer}
}

// lists are the kinds of all.
func (s *standIns) lists() []client.Object {
	return []client.Object{&clusterv1.Cluster{}, &controlplanev1.KubeadmControlPlane{}, &infrav1.HyperVCluster{}, &capstanv1.LoadBalancer{}}
}

// createStandIns creates what stands for c. Deleted, they linger as they do while
// controllers take them apart.
func createStandIns(ctx context.Context, c *cluster) *standIns {
	now := translate.InEffect{Version: testenv.Version, ControlPlaneImage: "linux-136", LoadBalancerImage: "linux-136"}
	s := &standIns{cluster: translate.Cluster(c), infra: translate.HyperVCluster(c, now)}
	s.controlPlane, _ = translate.ControlPlane(c, now)
	env.Create(ctx, s.cluster)
	for _, obj := range []client.Object{s.infra, s.controlPlane} {
		translate.BelongTo(obj, s.cluster)
		env.Create(ctx, obj)
	}
	s.loadBalancer = newLoadBalancer(c.Namespace, s.infra)
	env.Create(ctx, s.loadBalancer)
	for _, obj := range s.all() {
		obj.SetFinalizers([]string{"example.org/held"})
		Expect(env.Client.Update(ctx, obj)).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) {
		for _, obj := range s.all() {
			Expect(client.IgnoreNotFound(env.Client.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		}
	})
	return s
}

// newLoadBalancer returns the LoadBalancer that infra makes, or one of nobody.
func newLoadBalancer(namespace string, infra *infrav1.HyperVCluster) *capstanv1.LoadBalancer {
	lb := &capstanv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec:       capstanv1.LoadBalancerSpec{ClusterName: "shop", LogicalNetwork: "lan", Image: "linux-136", Replicas: ptr.To[int32](2)},
	}
	if infra != nil {
		lb.Labels = infra.Labels
		lb.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(infra, infrav1.GroupVersion.WithKind("HyperVCluster"))}
	}
	return lb
}

var _ = Describe("What stands for a protected WorkloadCluster", func() {
	const fix = "set spec.deletionProtection to false first"
	refused := MatchError(ContainSubstring("WorkloadCluster shop, which it stands for, is protected from deletion: " + fix))

	It("cannot be deleted, alone or with all of its kind, until the protection is taken off", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true))
		env.Create(ctx, c)
		s := createStandIns(ctx, c)
		for _, obj := range s.all() {
			Expect(env.Client.Delete(ctx, obj)).To(refused, "%T", obj)
		}
		for _, kind := range s.lists() {
			Expect(env.Client.DeleteAllOf(ctx, kind, client.InNamespace(c.Namespace))).To(refused, "%T", kind)
		}
		for _, obj := range s.all() {
			Expect(testenv.Get(ctx, env, obj)()).To(HaveField("GetDeletionTimestamp()", BeNil()), "%T", obj)
		}
		testenv.Update(ctx, env, c, protected(false))
		for _, obj := range s.all() {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed(), "%T", obj)
		}
	})

	It("goes to its end when the protection comes after somebody deleted the Cluster", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop")
		env.Create(ctx, c)
		s := createStandIns(ctx, c)
		Expect(env.Client.Delete(ctx, s.cluster)).To(Succeed())
		testenv.Update(ctx, env, c, protected(true))
		Expect(env.Client.Delete(ctx, s.cluster)).To(Succeed())
		Expect(env.Client.Delete(ctx, s.loadBalancer)).To(refused)
		for _, obj := range []client.Object{s.controlPlane, s.infra, s.loadBalancer} {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed(), "%T", obj)
		}
	})

	It("goes with a WorkloadCluster that goes itself", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", func(c *cluster) { c.Finalizers = []string{"example.org/held"} })
		env.Create(ctx, c)
		s := createStandIns(ctx, c)
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
		testenv.Update(ctx, env, c, protected(true))
		for _, obj := range s.all() {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed(), "%T", obj)
		}
		testenv.Update(ctx, env, c, func(c *cluster) { c.Finalizers = nil })
	})

	It("is not the load balancer of a HyperVCluster that has none any more", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true))
		env.Create(ctx, c)
		s := createStandIns(ctx, c)
		testenv.Update(ctx, env, s.infra, func(infra *infrav1.HyperVCluster) {
			infra.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "192.0.2.10", Port: 6443}
			infra.Spec.LoadBalancer = nil
		})
		Expect(env.Client.Delete(ctx, s.loadBalancer)).To(Succeed())
		Expect(env.Client.Delete(ctx, s.infra)).To(refused)
	})

	It("is nothing that only bears its name, and no NodePool", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", protected(true))
		before := c.DeepCopy()
		before.UID = "of-another-time"
		s := createStandIns(ctx, before)
		env.Create(ctx, c)
		pool := testenv.NewNodePool(c.Namespace, "shop-linux", "shop")
		pool.Labels = map[string]string{capstanv1.WorkloadClusterLabel: "shop"}
		env.Create(ctx, pool)
		for _, obj := range append(s.all(), pool) {
			Expect(env.Client.Delete(ctx, obj)).To(Succeed(), "%T", obj)
		}
	})
})
