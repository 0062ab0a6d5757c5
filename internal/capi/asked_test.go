package capi_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// calls returns how often a webhook was asked.
func calls(path string) int {
	GinkgoHelper()
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	n := 0
	for _, family := range families {
		if family.GetName() != "controller_runtime_webhook_requests_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "webhook" && label.GetValue() == path {
					n += int(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

var owner = metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "a", UID: "a"}

// No reconciler touches these objects: nothing owns the KubeadmConfig, and the
// Machine's Cluster does not exist.
var _ = Describe("Admission of an update", func() {
	asked := func(ctx SpecContext, object client.Object, path string, change func(), times int) {
		GinkgoHelper()
		Expect(k8s.Create(ctx, object)).To(Succeed())
		before := calls(path)
		patch := client.MergeFrom(object.DeepCopyObject().(client.Object))
		change()
		Expect(k8s.Patch(ctx, object, patch)).To(Succeed())
		Expect(calls(path) - before).To(Equal(times))
	}

	DescribeTable("of a KubeadmConfig", func(ctx SpecContext, change func(*bootstrapv1.KubeadmConfig), times int) {
		config := &bootstrapv1.KubeadmConfig{ObjectMeta: metav1.ObjectMeta{
			Namespace: newNamespace(ctx), Name: "a", Labels: map[string]string{"kept": "y"},
		}}
		config.Spec.PreKubeadmCommands = []string{"true"}
		asked(ctx, config, "/validate-bootstrap-cluster-x-k8s-io-v1beta2-kubeadmconfig", func() { change(config) }, times)
	},
		Entry("does not ask about finalizers", func(c *bootstrapv1.KubeadmConfig) { c.Finalizers = []string{"test/hold"} }, 0),
		Entry("does not ask about owners", func(c *bootstrapv1.KubeadmConfig) { c.OwnerReferences = []metav1.OwnerReference{owner} }, 0),
		Entry("does not ask about nothing", func(*bootstrapv1.KubeadmConfig) {}, 0),
		Entry("asks about another value in the spec", func(c *bootstrapv1.KubeadmConfig) { c.Spec.PreKubeadmCommands[0] = "false" }, 1),
		Entry("asks about a field that was not there", func(c *bootstrapv1.KubeadmConfig) { c.Spec.PostKubeadmCommands = []string{"true"} }, 1),
		Entry("asks about a spec that goes", func(c *bootstrapv1.KubeadmConfig) { c.Spec = bootstrapv1.KubeadmConfigSpec{} }, 1),
		Entry("asks about a label", func(c *bootstrapv1.KubeadmConfig) { c.Labels["x"] = "y" }, 1),
		Entry("asks about labels that go", func(c *bootstrapv1.KubeadmConfig) { c.Labels = nil }, 1),
		Entry("asks about annotations", func(c *bootstrapv1.KubeadmConfig) { c.Annotations = map[string]string{"x": "y"} }, 1),
	)

	DescribeTable("of a Machine", func(ctx SpecContext, change func(*clusterv1.Machine), times int) {
		for _, path := range []string{"/mutate-cluster-x-k8s-io-v1beta2-machine", "/validate-cluster-x-k8s-io-v1beta2-machine"} {
			template := newMachineDeployment(newNamespace(ctx)).Spec.Template.Spec
			template.Bootstrap = clusterv1.Bootstrap{DataSecretName: &owner.Name}
			template.InfrastructureRef.Kind = "TestMachine"
			machine := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "a"}, Spec: template}
			asked(ctx, machine, path, func() { change(machine) }, times)
		}
	},
		Entry("does not ask about finalizers", func(m *clusterv1.Machine) { m.Finalizers = []string{"test/hold"} }, 0),
		Entry("asks about owners, which tell whether it needs bootstrap data", func(m *clusterv1.Machine) { m.OwnerReferences = []metav1.OwnerReference{owner} }, 1),
		Entry("asks about the spec", func(m *clusterv1.Machine) { m.Spec.Version = "v1.36.4" }, 1),
	)
})
