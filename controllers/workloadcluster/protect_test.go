package workloadcluster_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func protected(is bool) func(*capstanv1.WorkloadCluster) {
	return func(c *capstanv1.WorkloadCluster) { c.Spec.DeletionProtection = is }
}

// expectProtected waits until the namespace bears the label by which admission
// knows it, or does not.
func expectProtected(ctx context.Context, namespace string, is bool) {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	want := HaveKeyWithValue(capstanv1.DeletionProtectedLabel, "true")
	if !is {
		want = Not(HaveKey(capstanv1.DeletionProtectedLabel))
	}
	EventuallyWithOffset(1, testenv.Get(ctx, env, n)).WithContext(ctx).Should(HaveField("Labels", want))
}

var _ = Describe("The namespace of protected WorkloadClusters", func() {
	It("is labelled as long as there is one", func(ctx SpecContext) {
		s := newStory(ctx, protected(true)).begin(ctx)
		other := testenv.NewWorkloadCluster(s.namespace, "lab", protected(true))
		env.Create(ctx, other)
		expectProtected(ctx, s.namespace, true)
		env.ExpectCondition(ctx, other, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForLoadBalancer, Not(BeEmpty()))

		By("somebody taking the label away")
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
		testenv.Update(ctx, env, n, func(n *corev1.Namespace) { delete(n.Labels, capstanv1.DeletionProtectedLabel) })
		expectProtected(ctx, s.namespace, true)

		By("one of the two losing its protection")
		testenv.Update(ctx, env, s.wlc, protected(false))
		Eventually(testenv.Get(ctx, env, s.wlc)).WithContext(ctx).Should(HaveField("Status.ObservedGeneration", s.wlc.Generation))
		expectProtected(ctx, s.namespace, true)

		By("the other one, too")
		testenv.Update(ctx, env, other, protected(false))
		expectProtected(ctx, s.namespace, false)
	})

	It("loses its label with a protected cluster that goes nevertheless", func(ctx SpecContext) {
		s := newStory(ctx, protected(true)).begin(ctx)
		expectProtected(ctx, s.namespace, true)
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed(), "no webhook runs in this suite")
		env.ExpectGone(ctx, s.wlc)
		expectProtected(ctx, s.namespace, false)
	})
})
