package capi_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

var _ = Describe("The note that a member of a control plane is being remediated", func() {
	const (
		note  = `{"machine":"shop-old","timestamp":"2200-01-01T00:00:00Z","retryCount":0}`
		holds = "capstan.dev/spec"
	)
	var (
		cluster      *clusterv1.Cluster
		controlPlane *controlplanev1.KubeadmControlPlane
	)

	// member makes one that is older than the note says, so that upstream takes it for
	// nobody's successor. Once deleted it stays until it is let go.
	member := func(ctx SpecContext, name string) *clusterv1.Machine {
		GinkgoHelper()
		machine := &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: controlPlane.Namespace, Name: name, Finalizers: []string{holds},
				Labels:          map[string]string{clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: ""},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(controlPlane, controlplanev1.GroupVersion.WithKind("KubeadmControlPlane"))},
			},
			Spec: newMachineDeployment(controlPlane.Namespace).Spec.Template.Spec,
		}
		Expect(k8s.Create(ctx, machine)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { letGo(ctx, machine, holds) })
		return machine
	}
	annotations := func(ctx SpecContext) func() map[string]string {
		return func() map[string]string { return reread(ctx, controlPlane).Annotations }
	}
	remediates := func(ctx SpecContext) {
		GinkgoHelper()
		before := reread(ctx, controlPlane).DeepCopy()
		controlPlane.Annotations = map[string]string{controlplanev1.RemediationInProgressAnnotation: note}
		Expect(k8s.Patch(ctx, controlPlane, client.MergeFrom(before))).To(Succeed())
	}

	pauses := func(ctx SpecContext, paused bool) {
		GinkgoHelper()
		before := reread(ctx, cluster).DeepCopy()
		cluster.Spec.Paused = &paused
		Expect(k8s.Patch(ctx, cluster, client.MergeFrom(before))).To(Succeed())
	}

	BeforeEach(func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		cluster = newCluster(ctx, namespace)
		controlPlane = newControlPlane(namespace, 3)
		Expect(k8s.Create(ctx, controlPlane)).To(Succeed())
	})

	It("goes when the member has gone and those that stay are enough", func(ctx SpecContext) {
		old := member(ctx, "shop-old")
		for _, name := range []string{"shop-a", "shop-b", "shop-c"} {
			member(ctx, name)
		}
		remediates(ctx)
		Expect(k8s.Delete(ctx, old)).To(Succeed())
		Consistently(annotations(ctx), "1s").Should(HaveKey(controlplanev1.RemediationInProgressAnnotation), "the member is still there")
		letGo(ctx, old, holds)
		Eventually(annotations(ctx)).ShouldNot(HaveKey(controlplanev1.RemediationInProgressAnnotation))
	})

	It("stays as long as a successor is to come, and goes if none is wanted any more", func(ctx SpecContext) {
		member(ctx, "shop-a")
		member(ctx, "shop-b")
		remediates(ctx)
		Consistently(annotations(ctx), "1s").Should(HaveKey(controlplanev1.RemediationInProgressAnnotation))
		before := reread(ctx, controlPlane).DeepCopy()
		*controlPlane.Spec.Replicas = 1
		Expect(k8s.Patch(ctx, controlPlane, client.MergeFrom(before))).To(Succeed())
		Eventually(annotations(ctx)).ShouldNot(HaveKey(controlplanev1.RemediationInProgressAnnotation))
	})

	It("stays as long as the Cluster is paused", func(ctx SpecContext) {
		for _, name := range []string{"shop-a", "shop-b", "shop-c"} {
			member(ctx, name)
		}
		pauses(ctx, true)
		Eventually(func() bool {
			return meta.IsStatusConditionTrue(reread(ctx, controlPlane).Status.Conditions, clusterv1.PausedCondition)
		}).Should(BeTrue(), "the manager knows of it")
		remediates(ctx)
		Consistently(annotations(ctx), "1s").Should(HaveKey(controlplanev1.RemediationInProgressAnnotation))
		pauses(ctx, false)
		Eventually(annotations(ctx)).ShouldNot(HaveKey(controlplanev1.RemediationInProgressAnnotation))
	})
})

// letGo takes what holds an object off it, if it is there.
func letGo(ctx context.Context, object client.Object, finalizer string) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return client.IgnoreNotFound(err)
		}
		if controllerutil.RemoveFinalizer(object, finalizer) {
			return k8s.Update(ctx, object)
		}
		return nil
	}).Should(Succeed())
}
