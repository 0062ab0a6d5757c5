package capi_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/capi"
)

var _ = Describe("Another Cluster API", func() {
	expectRefused := func(ctx SpecContext, found ...string) {
		GinkgoHelper()
		var foreign *capi.ForeignError
		err := capi.RefuseForeign(ctx, k8s)
		Expect(err).To(MatchError(ContainSubstring("another Cluster API is installed")))
		Expect(errors.As(err, &foreign)).To(BeTrue())
		Expect(foreign.Found).To(ConsistOf(found))
	}
	create := func(ctx SpecContext, object client.Object) {
		GinkgoHelper()
		Expect(k8s.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, object)).To(Succeed()) })
	}

	It("is not seen in our own installation", func(ctx SpecContext) {
		Expect(capi.RefuseForeign(ctx, k8s)).To(Succeed())
	})

	It("is refused by its CRDs", func(ctx SpecContext) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		crd.Name = "machines.cluster.x-k8s.io"
		relabel := func(value string) {
			patch := client.MergeFrom(reread(ctx, crd).DeepCopy())
			crd.Labels["app.kubernetes.io/part-of"] = value
			Expect(k8s.Patch(ctx, crd, patch)).To(Succeed())
		}
		relabel("somebody")
		defer relabel("capstan")

		expectRefused(ctx, "CustomResourceDefinition machines.cluster.x-k8s.io")
	})

	It("is refused by a Deployment, whether it runs or not", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		create(ctx, newDeployment(namespace, "capi-controller-manager", "cluster-api"))

		expectRefused(ctx, "Deployment "+namespace+"/capi-controller-manager")
	})

	It("is refused by webhooks for its kinds, whatever their labels", func(ctx SpecContext) {
		create(ctx, newWebhooks("capi-validating-webhook-configuration", "/validate-controlplane-cluster-x-k8s-io-v1beta1-kubeadmcontrolplane"))

		expectRefused(ctx, "ValidatingWebhookConfiguration capi-validating-webhook-configuration")
	})

	It("is not seen in other providers, nor in policies on Cluster API's kinds", func(ctx SpecContext) {
		create(ctx, newDeployment(newNamespace(ctx), "capd-controller-manager", "infrastructure-docker"))
		create(ctx, newWebhooks("capd", "/validate-infrastructure-cluster-x-k8s-io-v1beta2-dockercluster"))
		create(ctx, newWebhooks("in-cluster-ipam", "/validate-ipam-cluster-x-k8s-io-v1alpha2-inclusterippool"))
		create(ctx, newWebhooks("policies", "/validate/fail"))

		Expect(capi.RefuseForeign(ctx, k8s)).To(Succeed())
	})
})

func newDeployment(namespace, name, provider string) *appsv1.Deployment {
	replicas, pods := int32(0), map[string]string{"control-plane": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"cluster.x-k8s.io/provider": provider}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pods},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pods},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "manager"}}},
			},
		},
	}
}

// newWebhooks makes webhooks on Machines of a namespace that is not there, so
// that nothing ever calls them.
func newWebhooks(name, path string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	none := admissionregistrationv1.SideEffectClassNone
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "validation.machine.cluster.x-k8s.io",
			AdmissionReviewVersions: []string{"v1"},
			SideEffects:             &none,
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "nowhere"}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{
				Namespace: "elsewhere", Name: "webhook-service", Path: &path,
			}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule: admissionregistrationv1.Rule{
					APIGroups: []string{"cluster.x-k8s.io"}, APIVersions: []string{"v1beta2"}, Resources: []string{"machines"},
				},
			}},
		}},
	}
}
