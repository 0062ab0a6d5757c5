package servingcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/capstan-k8s/capstan/internal/servingcert"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// world is an API server with one webhook client of each kind that is ours, and
// one that is not.
type world struct {
	client client.Client
	clock  *clocktesting.FakeClock
	t      *testing.T

	writes, fullReads atomic.Int64
	refusePatches     atomic.Bool
}

func newWorld(t *testing.T) (*WithT, *world) {
	t.Helper()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
	g.Expect(admissionregistrationv1.AddToScheme(scheme)).To(Succeed())
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	w := &world{t: t, clock: clocktesting.NewFakeClock(start)}
	ours := map[string]string{"app.kubernetes.io/part-of": "capstan"}
	port := int32(443)
	clientConfig := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{
			Namespace: "system", Name: "webhook-service", Path: &path, Port: &port,
		}}
	}
	convert := "/convert"
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(w.intercept()).WithObjects(
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "ours", Labels: ours},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "default.thing", ClientConfig: clientConfig("/mutate-thing")}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "ours", Labels: ours},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "validation.thing", ClientConfig: clientConfig("/validate-thing")}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "foreign"},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "validation.other", ClientConfig: clientConfig("/validate-other")}},
		},
		&apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "things.capstan.dev", Labels: ours},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{Conversion: &apiextensionsv1.CustomResourceConversion{
				Strategy: apiextensionsv1.WebhookConverter,
				Webhook: &apiextensionsv1.WebhookConversion{ClientConfig: &apiextensionsv1.WebhookClientConfig{
					Service: &apiextensionsv1.ServiceReference{Namespace: "system", Name: "webhook-service", Path: &convert, Port: &port},
				}},
			}},
		},
		&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "plain.capstan.dev", Labels: ours}},
	).Build()
	return g, w
}

func (w *world) keeper(options servingcert.Options) *servingcert.Keeper {
	w.t.Helper()
	options.Client, options.Clock = w.client, w.clock
	keeper, err := servingcert.New(options)
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	return keeper
}

func (w *world) secret(g *WithT) *corev1.Secret {
	secret := &corev1.Secret{}
	g.Expect(w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "capstan-system", Name: "capstan-webhook-cert"}, secret)).To(Succeed())
	return secret
}

func (w *world) breakTrust(g *WithT) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	g.Expect(w.client.Get(w.t.Context(), client.ObjectKey{Name: "things.capstan.dev"}, crd)).To(Succeed())
	crd.Spec.Conversion.Webhook.ClientConfig.CABundle = []byte("broken")
	g.Expect(w.client.Update(w.t.Context(), crd)).To(Succeed())
}

// clients returns the webhook clients that are ours.
func (w *world) clients(g *WithT) []apiextensionsv1.WebhookClientConfig {
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{}
	g.Expect(w.client.Get(w.t.Context(), client.ObjectKey{Name: "ours"}, mutating)).To(Succeed())
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	g.Expect(w.client.Get(w.t.Context(), client.ObjectKey{Name: "ours"}, validating)).To(Succeed())
	crd := &apiextensionsv1.CustomResourceDefinition{}
	g.Expect(w.client.Get(w.t.Context(), client.ObjectKey{Name: "things.capstan.dev"}, crd)).To(Succeed())

	clients := []apiextensionsv1.WebhookClientConfig{*crd.Spec.Conversion.Webhook.ClientConfig}
	for _, admission := range []admissionregistrationv1.WebhookClientConfig{mutating.Webhooks[0].ClientConfig, validating.Webhooks[0].ClientConfig} {
		clients = append(clients, apiextensionsv1.WebhookClientConfig{
			URL: admission.URL, CABundle: admission.CABundle, Service: (*apiextensionsv1.ServiceReference)(admission.Service),
		})
	}
	return clients
}

func (w *world) bundles(g *WithT) []string {
	var bundles []string
	for _, c := range w.clients(g) {
		bundles = append(bundles, string(c.CABundle))
	}
	return bundles
}

func (w *world) urls(g *WithT) []string {
	var urls []string
	for _, c := range w.clients(g) {
		if c.URL != nil {
			g.Expect(c.Service).To(BeNil())
			urls = append(urls, *c.URL)
		}
	}
	return urls
}

func (w *world) services(g *WithT) []string {
	var services []string
	for _, c := range w.clients(g) {
		g.Expect(c.Service).NotTo(BeNil())
		services = append(services, c.Service.Namespace+"/"+c.Service.Name)
	}
	return services
}

func (w *world) paths(g *WithT) []string {
	var paths []string
	for _, c := range w.clients(g) {
		paths = append(paths, *c.Service.Path)
	}
	return paths
}

func served(g *WithT, keeper *servingcert.Keeper) *x509.Certificate {
	cert, err := keeper.GetCertificate(&tls.ClientHelloInfo{})
	g.Expect(err).NotTo(HaveOccurred())
	return cert.Leaf
}

func parse(g *WithT, bundle string) []*x509.Certificate {
	var certs []*x509.Certificate
	for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		g.Expect(err).NotTo(HaveOccurred())
		certs = append(certs, cert)
	}
	return certs
}

func expectTrusted(g *WithT, leaf *x509.Certificate, bundle, name string, now time.Time) {
	roots := x509.NewCertPool()
	for _, cert := range parse(g, bundle) {
		roots.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
	g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
}
