package capi_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1beta1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1beta1 "sigs.k8s.io/cluster-api/api/core/v1beta1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("Admission", func() {
	It("fills in what the reconcilers rely on", func(ctx SpecContext) {
		deployment := newMachineDeployment(newNamespace(ctx))
		Expect(k8s.Create(ctx, deployment)).To(Succeed())

		Expect(deployment.Spec.Rollout.Strategy.Type).To(Equal(clusterv1.RollingUpdateMachineDeploymentStrategyType))
		Expect(deployment.Spec.Template.Spec.Version).To(Equal("v1.36.3"))
		Expect(deployment.Spec.Selector.MatchLabels).To(HaveKeyWithValue(clusterv1.ClusterNameLabel, "shop"))
	})

	It("refuses a control plane whose etcd could not agree", func(ctx SpecContext) {
		err := k8s.Create(ctx, newControlPlane(newNamespace(ctx), 2))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("replicas")))
	})

	It("refuses to scale a control plane to what it could not be made with", func(ctx SpecContext) {
		controlPlane := newControlPlane(newNamespace(ctx), 1)
		Expect(k8s.Create(ctx, controlPlane)).To(Succeed())

		// The webhook reads the control plane from the manager's cache.
		Eventually(func() error {
			scale := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":4}}`))
			return k8s.SubResource("scale").Patch(ctx, controlPlane, scale)
		}).Should(MatchError(ContainSubstring("even number")))
	})

	It("refuses what needs a feature that is off", func(ctx SpecContext) {
		cluster := &clusterv1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "shop"},
			Spec: clusterv1.ClusterSpec{Topology: clusterv1.Topology{
				ClassRef: clusterv1.ClusterClassRef{Name: "small"}, Version: "v1.36.3",
			}},
		}
		// The first such request begins to watch ClusterClasses, and may not wait for it.
		Eventually(func() error { return k8s.Create(ctx, cluster) }).
			Should(MatchError(ContainSubstring("ClusterTopology feature flag is enabled")))
	})
})

var _ = Describe("Conversion", func() {
	It("serves to old clients what new ones wrote, references with their version", func(ctx SpecContext) {
		cluster := newCluster(ctx, newNamespace(ctx))

		old := &clusterv1beta1.Cluster{}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(cluster), old)).To(Succeed())
		Expect(old.Spec.ControlPlaneRef.APIVersion).To(Equal("controlplane.cluster.x-k8s.io/v1beta2"))
		Expect(old.Spec.ControlPlaneRef.Namespace).To(Equal(cluster.Namespace))
	})

	It("serves to new clients what old ones wrote", func(ctx SpecContext) {
		old := &clusterv1beta1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "shop"},
			Spec: clusterv1beta1.ClusterSpec{
				Paused: true,
				ControlPlaneRef: &corev1.ObjectReference{
					APIVersion: "controlplane.cluster.x-k8s.io/v1beta1", Kind: "KubeadmControlPlane", Name: "shop",
				},
			},
		}
		Expect(k8s.Create(ctx, old)).To(Succeed())

		cluster := &clusterv1.Cluster{}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(old), cluster)).To(Succeed())
		Expect(cluster.Spec.Paused).To(HaveValue(BeTrue()))
		Expect(cluster.Spec.ControlPlaneRef.APIGroup).To(Equal("controlplane.cluster.x-k8s.io"))
	})

	It("finds the newest version of an infrastructure kind by its contract label", func(ctx SpecContext) {
		deployment := newMachineDeployment(newNamespace(ctx))
		Expect(k8s.Create(ctx, deployment)).To(Succeed())

		old := &clusterv1beta1.MachineDeployment{}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(deployment), old)).To(Succeed())
		Expect(old.Spec.Template.Spec.InfrastructureRef.APIVersion).To(Equal("infrastructure.cluster.x-k8s.io/v1alpha1"))
	})

	It("converts the control plane's own references too", func(ctx SpecContext) {
		controlPlane := newControlPlane(newNamespace(ctx), 3)
		Expect(k8s.Create(ctx, controlPlane)).To(Succeed())

		old := &controlplanev1beta1.KubeadmControlPlane{}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(controlPlane), old)).To(Succeed())
		Expect(old.Spec.MachineTemplate.InfrastructureRef.APIVersion).To(Equal("infrastructure.cluster.x-k8s.io/v1alpha1"))
	})
})

func newControlPlane(namespace string, replicas int32) *controlplanev1.KubeadmControlPlane {
	return &controlplanev1.KubeadmControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec: controlplanev1.KubeadmControlPlaneSpec{
			Replicas: &replicas,
			Version:  "v1.36.3",
			MachineTemplate: controlplanev1.KubeadmControlPlaneMachineTemplate{Spec: controlplanev1.KubeadmControlPlaneMachineTemplateSpec{
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestMachineTemplate", Name: "shop-control-plane",
				},
			}},
		},
	}
}
