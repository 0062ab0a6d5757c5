package capi_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util/kubeconfig"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

var _ = Describe("The reconcilers", func() {
	It("turn a MachineDeployment into a Machine with its bootstrap and infrastructure objects", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTemplates(ctx, namespace, "shop-linux")
		cluster := &clusterv1.Cluster{}
		cluster.Namespace, cluster.Name = namespace, "shop"
		cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "127.0.0.1", Port: 6443}
		cluster.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{
			APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestCluster", Name: "shop",
		}
		Expect(k8s.Create(ctx, cluster)).To(Succeed())
		provisioned := newInfrastructure("TestCluster", namespace, "shop")
		Expect(unstructured.SetNestedField(provisioned.Object, true, "status", "initialization", "provisioned")).To(Succeed())
		Expect(k8s.Create(ctx, provisioned)).To(Succeed())
		Expect(k8s.Create(ctx, newMachineDeployment(namespace))).To(Succeed())

		machines := &clusterv1.MachineList{}
		Eventually(func(g Gomega) {
			g.Expect(k8s.List(ctx, machines, client.InNamespace(namespace))).To(Succeed())
			g.Expect(machines.Items).To(HaveLen(1))
			g.Expect(machines.Items[0].Finalizers).To(ContainElement(clusterv1.MachineFinalizer))
		}).Should(Succeed())
		machine := &machines.Items[0]

		config := &bootstrapv1.KubeadmConfig{}
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(machine), config)).To(Succeed())
			g.Expect(config.Status.Conditions).NotTo(BeEmpty())
		}).Should(Succeed())
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(machine), newInfrastructure("TestMachine", "", ""))).To(Succeed())
		Expect(reread(ctx, cluster).Finalizers).To(ContainElement(clusterv1.ClusterFinalizer))
	})

	It("build a control plane's first Machine", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newTemplates(ctx, namespace, "shop-control-plane")
		cluster := newCluster(ctx, namespace)
		Expect(k8s.Create(ctx, newControlPlane(namespace, 1))).To(Succeed())

		Eventually(func(g Gomega) {
			patch := client.MergeFrom(reread(ctx, cluster).DeepCopy())
			cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "127.0.0.1", Port: 6443}
			g.Expect(k8s.Patch(ctx, cluster, patch)).To(Succeed())
		}).Should(Succeed())

		Eventually(func(g Gomega) {
			machines := &clusterv1.MachineList{}
			g.Expect(k8s.List(ctx, machines, client.InNamespace(namespace), client.HasLabels{clusterv1.MachineControlPlaneLabel})).To(Succeed())
			g.Expect(machines.Items).To(HaveLen(1))
			secret := &corev1.Secret{}
			g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shop-ca"}, secret)).To(Succeed())
			g.Expect(machines.Items[0].Spec.Bootstrap.DataSecretName).NotTo(BeNil())
		}).Should(Succeed())
	})

	It("migrate every CRD that is ours to migrate", func(ctx SpecContext) {
		for _, name := range []string{"clusters.cluster.x-k8s.io", "kubeadmconfigs.bootstrap.cluster.x-k8s.io", "kubeadmcontrolplanes.controlplane.cluster.x-k8s.io"} {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			crd.Name = name
			Eventually(func() map[string]string { return reread(ctx, crd).Annotations }).
				Should(HaveKey(clusterv1.CRDMigrationObservedGenerationAnnotation), name)
		}
	})
})

var _ = Describe("The cluster cache", func() {
	It("connects soon after a kubeconfig is there, and reads Pods past its cache", func(ctx SpecContext) {
		cluster := newCluster(ctx, newNamespace(ctx))
		key := client.ObjectKeyFromObject(cluster)
		_, err := clusters.GetClient(ctx, key)
		Expect(err).To(MatchError(clustercache.ErrClusterNotConnected))

		// Any API server does as a workload cluster, this one too.
		user, err := apiServer.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
		Expect(err).NotTo(HaveOccurred())
		config, err := user.KubeConfig()
		Expect(err).NotTo(HaveOccurred())
		Expect(k8s.Create(ctx, kubeconfig.GenerateSecret(cluster, config))).To(Succeed())

		var workload client.Client
		Eventually(func() error { workload, err = clusters.GetClient(ctx, key); return err }).Should(Succeed())
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = cluster.Namespace, "just-made"
		pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "none"}}
		Expect(k8s.Create(ctx, pod)).To(Succeed())
		Expect(workload.Get(ctx, client.ObjectKeyFromObject(pod), &corev1.Pod{})).To(Succeed(), "a cache would not have it yet")
	})
})

func newInfrastructure(kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1alpha1", Kind: kind})
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// newTemplates makes the templates that a machine of the given name is made from.
func newTemplates(ctx context.Context, namespace, name string) {
	GinkgoHelper()
	bootstrap := &bootstrapv1.KubeadmConfigTemplate{}
	bootstrap.Namespace, bootstrap.Name = namespace, name
	Expect(k8s.Create(ctx, bootstrap)).To(Succeed())

	template := newInfrastructure("TestMachineTemplate", namespace, name)
	Expect(unstructured.SetNestedMap(template.Object, map[string]any{}, "spec", "template", "spec")).To(Succeed())
	Expect(k8s.Create(ctx, template)).To(Succeed())
}
