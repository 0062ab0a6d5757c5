package loadbalancer_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

var _ = Describe("A LoadBalancer whose cluster's CA is gone", func() {
	It("keeps the API servers in the plan, and names the Secret", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		generation := fetch(ctx, lb).Status.PlanGeneration

		Expect(k8s.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-ca"}})).To(Succeed())
		s.newMember(ctx, "cp-2")
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("False ClusterCAMissing"))
		Expect(message(ctx, lb, capstanv1.ReadyCondition)()).To(ContainSubstring(s.namespace + "/" + clusterName + "-ca"))
		Expect(fetch(ctx, lb).Status.PlanGeneration).To(Equal(generation))
		Expect(s.ask()).To(Equal("cp-1"))

		s.newCA(ctx)
		s.newMember(ctx, "cp-3")
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Expect(fetch(ctx, lb).Status.PlanGeneration).To(BeNumerically(">", generation))
	})
})
