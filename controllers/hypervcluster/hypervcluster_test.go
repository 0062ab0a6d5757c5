package hypervcluster_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/hypervcluster"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestHyperVCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "HyperVCluster controller")
}

var (
	env    *testenv.Env
	events testenv.Recorder
)

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&hypervcluster.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events},
		}
	})
})

// pair is a Cluster and its HyperVCluster, not linked yet.
type pair struct {
	cluster *clusterv1.Cluster
	infra   *infrav1.HyperVCluster
}

func newPair(ctx context.Context, with ...func(*infrav1.HyperVCluster)) *pair {
	namespace := env.Namespace(ctx, GinkgoT())
	p := &pair{
		cluster: &clusterv1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVCluster", Name: "shop",
			}},
		},
		infra: &infrav1.HyperVCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec: infrav1.HyperVClusterSpec{LogicalNetwork: "lan", LoadBalancer: &infrav1.LoadBalancer{
				LoadBalancerSettings: capstanv1.LoadBalancerSettings{Image: "linux"},
			}},
		},
	}
	for _, modify := range with {
		modify(p.infra)
	}
	return p
}

// own does what Cluster API's Cluster controller does first.
func (p *pair) own(ctx context.Context) {
	testenv.Update(ctx, env, p.infra, func(i *infrav1.HyperVCluster) {
		i.OwnerReferences = append(i.OwnerReferences, *metav1.NewControllerRef(p.cluster, clusterv1.GroupVersion.WithKind("Cluster")))
		i.Labels = map[string]string{clusterv1.ClusterNameLabel: p.cluster.Name}
	})
}

func (p *pair) start(ctx context.Context) *pair {
	env.Create(ctx, p.cluster, p.infra)
	p.own(ctx)
	return p
}

func (p *pair) balancer(ctx context.Context) *capstanv1.LoadBalancer {
	GinkgoHelper()
	return testenv.Await(ctx, env, &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: p.infra.Namespace, Name: "shop"}})
}

func balancerReady(ctx context.Context, lb *capstanv1.LoadBalancer) {
	testenv.UpdateStatus(ctx, env, lb, func(lb *capstanv1.LoadBalancer) {
		lb.Status.VIPs = []string{"10.20.0.100"}
		conditions.True(lb, capstanv1.ReadyCondition, capstanv1.ReasonReady, "")
	})
}

var _ = Describe("A HyperVCluster", func() {
	It("fulfils the contract for infrastructure clusters", func(ctx SpecContext) {
		p := newPair(ctx)
		env.Create(ctx, p.cluster, p.infra)
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForCluster, Equal("waiting for a Cluster to refer to this HyperVCluster"))
		Expect(p.infra.Finalizers).To(BeEmpty(), "nothing is made for it yet")

		p.own(ctx)
		lb := p.balancer(ctx)
		Expect(metav1.IsControlledBy(lb, p.infra)).To(BeTrue())
		Expect(lb.Finalizers).To(ConsistOf(capstanv1.LoadBalancerFinalizer))
		Expect(lb.Spec.ClusterName).To(Equal("shop"))
		Expect(lb.Spec.Replicas).To(HaveValue(Equal(int32(2))))
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("waiting for the load balancer"))
		Expect(p.infra.Finalizers).To(ConsistOf(infrav1.HyperVClusterFinalizer))
		Expect(p.infra.Status.Initialization.Provisioned).To(BeNil())

		By("publishing the VIP as soon as it is known")
		testenv.UpdateStatus(ctx, env, lb, func(lb *capstanv1.LoadBalancer) {
			lb.Status.VIPs = []string{"10.20.0.100"}
			conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonWaitingForInstances, "waiting for shop-lb-abcde")
		})
		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(p.infra), p.infra)).To(Succeed())
			g.Expect(p.infra.Spec.ControlPlaneEndpoint).To(Equal(clusterv1.APIEndpoint{Host: "10.20.0.100", Port: 6443}))
		}).Should(Succeed())
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("waiting for the load balancer"))

		balancerReady(ctx, lb)
		env.ExpectReady(ctx, p.infra)
		Expect(p.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
		Expect(conditions.IsTrue(p.infra, clusterv1.PausedCondition)).To(BeFalse())

		By("never taking provisioned back")
		testenv.UpdateStatus(ctx, env, lb, func(lb *capstanv1.LoadBalancer) {
			conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonHostUnreachable, "hv1 does not answer")
			lb.Status.VIPs = []string{"10.20.0.101"}
		})
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("hv1 does not answer"))
		Expect(p.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
		Expect(p.infra.Spec.ControlPlaneEndpoint.Host).To(Equal("10.20.0.100"), "nodes and certificates hold it")
	})

	It("stays ready while its load balancer takes in another spec, until that says otherwise", func(ctx SpecContext) {
		p := newPair(ctx).start(ctx)
		lb := p.balancer(ctx)
		balancerReady(ctx, lb)
		env.ExpectReady(ctx, p.infra)
		testenv.Update(ctx, env, p.infra, func(i *infrav1.HyperVCluster) { i.Spec.LoadBalancer.Replicas = ptr.To[int32](3) })
		Eventually(testenv.Get(ctx, env, lb)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(3)))))
		Eventually(testenv.Get(ctx, env, p.infra)).WithContext(ctx).Should(HaveField("Status.ObservedGeneration", p.infra.Generation))
		Expect(conditions.IsCurrentlyTrue(lb, capstanv1.ReadyCondition)).To(BeFalse())
		Expect(conditions.IsTrue(p.infra, capstanv1.ReadyCondition)).To(BeTrue())
		testenv.UpdateStatus(ctx, env, lb, func(lb *capstanv1.LoadBalancer) {
			conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonNetworkFull, "no room")
		})
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("no room"))
		balancerReady(ctx, lb)
		env.ExpectReady(ctx, p.infra)
	})

	It("is ready at once with an endpoint of the user's own", func(ctx SpecContext) {
		p := newPair(ctx, func(i *infrav1.HyperVCluster) {
			i.Spec.LoadBalancer, i.Spec.ControlPlaneEndpoint = nil, clusterv1.APIEndpoint{Host: "api.example.org", Port: 443}
		}).start(ctx)
		env.ExpectReady(ctx, p.infra)
		Expect(p.infra.Status.Initialization.Provisioned).To(HaveValue(BeTrue()))
		list := &capstanv1.LoadBalancerList{}
		Expect(env.Client.List(ctx, list, client.InNamespace(p.infra.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})

	DescribeTable("says what its spec lacks",
		func(ctx SpecContext, change func(*infrav1.HyperVCluster), says string) {
			p := newPair(ctx, change).start(ctx)
			env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonInvalidSpec, ContainSubstring(says))
			Expect(p.infra.Status.Initialization.Provisioned).To(BeNil())
			Eventually(func() []string { return events.Reasons(p.infra.UID) }).Should(ContainElement(capstanv1.ReasonInvalidSpec))
		},
		Entry("an endpoint", func(i *infrav1.HyperVCluster) { i.Spec.LoadBalancer = nil }, "spec.loadBalancer and spec.controlPlaneEndpoint are both missing: set one of them"),
		Entry("an image", func(i *infrav1.HyperVCluster) { i.Spec.LoadBalancer.Image = "" }, "spec.loadBalancer.image is missing: name a VMImage with os Linux"),
	)

	It("does not adopt a LoadBalancer that is somebody else's", func(ctx SpecContext) {
		p := newPair(ctx)
		foreign := &capstanv1.LoadBalancer{
			ObjectMeta: metav1.ObjectMeta{Namespace: p.infra.Namespace, Name: "shop"},
			Spec:       capstanv1.LoadBalancerSpec{ClusterName: "other", LogicalNetwork: "lan", Image: "mine"},
		}
		env.Create(ctx, foreign)
		p.start(ctx)
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonConflict, ContainSubstring("exists and was not made for shop: it is left alone"))
		version := foreign.ResourceVersion
		Expect(env.Client.Delete(ctx, p.infra)).To(Succeed())
		env.ExpectGone(ctx, p.infra)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	It("tells the failure domains of the hosts as they are now", func(ctx SpecContext) {
		p := newPair(ctx).start(ctx)
		prefix := p.infra.Namespace + "-"
		domains := func() ([]string, error) {
			err := env.Client.Get(ctx, client.ObjectKeyFromObject(p.infra), p.infra)
			names := []string{}
			for _, d := range p.infra.Status.FailureDomains {
				names = append(names, d.Name)
				Expect(d.ControlPlane).To(HaveValue(BeTrue()))
			}
			return names, err
		}
		a, b, c := testenv.NewHyperVHost(prefix+"a", testenv.WithFailureDomain("rack-b")),
			testenv.NewHyperVHost(prefix+"b", testenv.WithFailureDomain("rack-a")), testenv.NewHyperVHost(prefix+"c", testenv.WithFailureDomain("rack-a"))
		env.Create(ctx, a, b, c, testenv.NewHyperVHost(prefix+"d"))
		Eventually(domains).WithContext(ctx).Should(HaveExactElements("rack-a", "rack-b"))
		testenv.Update(ctx, env, a, func(h *capstanv1.HyperVHost) { h.Spec.FailureDomain = "rack-c" })
		Eventually(domains).WithContext(ctx).Should(HaveExactElements("rack-a", "rack-c"))
		testenv.Update(ctx, env, a, func(h *capstanv1.HyperVHost) { h.Spec.Lost = true })
		Eventually(domains).WithContext(ctx).Should(HaveExactElements("rack-a"))
		testenv.Update(ctx, env, b, func(h *capstanv1.HyperVHost) { h.Spec.Unschedulable = true })
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
		Eventually(domains).WithContext(ctx).Should(BeEmpty())
	})

	DescribeTable("stands still while it is paused, and says so",
		func(ctx SpecContext, pause, resume func(context.Context, *pair)) {
			p := newPair(ctx)
			env.Create(ctx, p.cluster, p.infra)
			pause(ctx, p)
			p.own(ctx)
			env.ExpectCondition(ctx, p.infra, clusterv1.PausedCondition, metav1.ConditionTrue, clusterv1.PausedReason, Not(BeEmpty()))
			list := &capstanv1.LoadBalancerList{}
			Expect(env.Client.List(ctx, list, client.InNamespace(p.infra.Namespace))).To(Succeed())
			Expect(list.Items).To(BeEmpty())
			resume(ctx, p)
			p.balancer(ctx)
			Eventually(testenv.Get(ctx, env, p.infra)).WithContext(ctx).Should(WithTransform(
				func(i *infrav1.HyperVCluster) string { return conditions.Get(i, clusterv1.PausedCondition).Reason }, Equal(clusterv1.NotPausedReason)))
		},
		Entry("by its Cluster",
			func(ctx context.Context, p *pair) {
				testenv.Update(ctx, env, p.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(true) })
			},
			func(ctx context.Context, p *pair) {
				testenv.Update(ctx, env, p.cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(false) })
			}),
		Entry("by its annotation",
			func(ctx context.Context, p *pair) {
				testenv.Update(ctx, env, p.infra, func(i *infrav1.HyperVCluster) { i.Annotations = map[string]string{clusterv1.PausedAnnotation: ""} })
			},
			func(ctx context.Context, p *pair) {
				testenv.Update(ctx, env, p.infra, func(i *infrav1.HyperVCluster) { i.Annotations = nil })
			}),
	)

	It("is left alone where somebody else manages it", func(ctx SpecContext) {
		p := newPair(ctx, func(i *infrav1.HyperVCluster) { i.Annotations = map[string]string{clusterv1.ManagedByAnnotation: "us"} }).start(ctx)
		version := p.infra.ResourceVersion
		By("answering another that came later, so that this one had its turn")
		newPair(ctx).start(ctx).balancer(ctx)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(p.infra), p.infra)).To(Succeed())
		Expect(p.infra.ResourceVersion).To(Equal(version))
	})

	It("is held until its load balancer is gone", func(ctx SpecContext) {
		p := newPair(ctx).start(ctx)
		lb := p.balancer(ctx)
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) { lb.Finalizers = []string{capstanv1.LoadBalancerFinalizer} })
		Expect(env.Client.Delete(ctx, p.infra)).To(Succeed())
		env.ExpectCondition(ctx, p.infra, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonDeleting, Equal("waiting for the load balancer to go"))
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) { lb.Finalizers = nil })
		env.ExpectGone(ctx, p.infra)
		env.ExpectGone(ctx, lb)
	})

	It("refuses a template that is changed", func(ctx SpecContext) {
		template := &infrav1.HyperVClusterTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(ctx, GinkgoT()), Name: "t"}}
		template.Spec.Template.Spec = infrav1.HyperVClusterSpec{LogicalNetwork: "lan"}
		env.Create(ctx, template)
		template.Spec.Template.Spec.LogicalNetwork = "lan2"
		Expect(env.Client.Update(ctx, template)).To(MatchError(ContainSubstring("a template cannot be changed: make a new one and refer to it")))
	})
})
