package admission_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func newHyperVCluster(namespace string, replicas int32, labels map[string]string) *infrav1.HyperVCluster {
	return &infrav1.HyperVCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop", Labels: labels},
		Spec: infrav1.HyperVClusterSpec{LogicalNetwork: "lan", LoadBalancer: &infrav1.LoadBalancer{
			LoadBalancerSettings: capstanv1.LoadBalancerSettings{Replicas: ptr.To(replicas), Image: "linux-136"},
		}},
	}
}

func withVMs(replicas int32) func(*capstanv1.LoadBalancer) {
	return func(lb *capstanv1.LoadBalancer) { lb.Spec.Replicas = ptr.To(replicas) }
}

var _ = Describe("The number of VMs of a LoadBalancer", func() {
	DescribeTable("is refused where it would be undone, with who chooses it",
		func(ctx SpecContext, labels map[string]string, says string) {
			infra := newHyperVCluster(env.Namespace(ctx, GinkgoT()), 2, labels)
			env.Create(ctx, infra)
			lb := newLoadBalancer(infra.Namespace, infra)
			env.Create(ctx, lb)
			want := refusal{"spec.replicas", says + " chooses the number of VMs: change its spec.loadBalancer.replicas"}
			Expect(scaleTo(ctx, lb, 5)).To(refuse(want))
			change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":5}}`))
			Expect(env.Client.Patch(ctx, lb, change)).To(refuse(want))
			Expect(testenv.Get(ctx, env, lb)()).To(HaveField("Spec.Replicas", HaveValue(Equal(int32(2)))))
		},
		Entry("by a HyperVCluster", nil, "HyperVCluster shop"),
		Entry("by a WorkloadCluster", map[string]string{capstanv1.WorkloadClusterLabel: "shop"}, "WorkloadCluster shop"),
	)

	It("follows the HyperVCluster, and nothing else is held up", func(ctx SpecContext) {
		infra := newHyperVCluster(env.Namespace(ctx, GinkgoT()), 2, nil)
		env.Create(ctx, infra)
		lb := newLoadBalancer(infra.Namespace, infra)
		env.Create(ctx, lb)
		testenv.Update(ctx, env, infra, func(infra *infrav1.HyperVCluster) { infra.Spec.LoadBalancer.Replicas = ptr.To[int32](3) })
		Expect(scaleTo(ctx, lb, 2)).To(Succeed())
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) { lb.Finalizers = []string{"example.org/held"} })
		testenv.Update(ctx, env, lb, withVMs(3))

		By("what goes, goes")
		Expect(env.Client.Delete(ctx, lb)).To(Succeed())
		testenv.Update(ctx, env, lb, withVMs(1))
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) { lb.Finalizers = nil })
	})

	It("is free on a LoadBalancer that no HyperVCluster looks after", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		lb := newLoadBalancer(namespace, nil)
		env.Create(ctx, lb)
		Expect(scaleTo(ctx, lb, 5)).To(Succeed())
		testenv.Update(ctx, env, lb, withVMs(1))

		gone := newHyperVCluster(namespace, 2, nil)
		gone.Name, gone.UID = "gone", "of-another-time"
		orphan := newLoadBalancer(namespace, gone)
		orphan.Name = "orphan"
		env.Create(ctx, orphan)
		Expect(scaleTo(ctx, orphan, 3)).To(Succeed())
	})
})
