package capi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clusterv1beta1 "sigs.k8s.io/cluster-api/api/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/servingcert"
)

var _ = Describe("The serving certificate", func() {
	It("is renewed and reloaded while the manager runs", func(ctx SpecContext) {
		before := presented(ctx)

		Eventually(clock.HasWaiters).Should(BeTrue())
		clock.SetTime(before.NotAfter.Add(-servingcert.RenewBefore).Add(servingcert.DefaultCheckInterval))

		Eventually(func() []byte { return presented(ctx).Raw }).ShouldNot(Equal(before.Raw))
		Expect(k8s.Create(ctx, newMachineDeployment(newNamespace(ctx)))).To(Succeed(), "the API server trusts the new one")
	})

	It("is trusted again after someone broke the conversion of a CRD", func(ctx SpecContext) {
		cluster := newCluster(ctx, newNamespace(ctx))
		crd := &apiextensionsv1.CustomResourceDefinition{}
		crd.Name = "clusters.cluster.x-k8s.io"
		Eventually(func() error {
			reread(ctx, crd).Spec.Conversion.Webhook.ClientConfig.CABundle = nil
			return k8s.Update(ctx, crd)
		}).Should(Succeed())
		convert := func() error { return k8s.Get(ctx, client.ObjectKeyFromObject(cluster), &clusterv1beta1.Cluster{}) }
		Eventually(convert).Should(MatchError(ContainSubstring("x509")))

		nextLook()

		Eventually(convert).Should(Succeed())
	})

	It("is trusted again after someone broke admission", func(ctx SpecContext) {
		configuration := &admissionregistrationv1.MutatingWebhookConfiguration{}
		configuration.Name = "capstan-capi-mutating"
		for i := range reread(ctx, configuration).Webhooks {
			configuration.Webhooks[i].ClientConfig.CABundle = nil
		}
		Expect(k8s.Update(ctx, configuration)).To(Succeed())
		namespace := newNamespace(ctx)
		create := func() error {
			return k8s.Create(ctx, newMachineDeployment(namespace), client.DryRunAll)
		}
		Eventually(create).Should(MatchError(ContainSubstring("x509")))

		nextLook()

		Eventually(create).Should(Succeed())
	})
})

// nextLook lets the time pass until the keeper looks at trust again.
func nextLook() {
	GinkgoHelper()
	Eventually(clock.HasWaiters).Should(BeTrue())
	clock.Step(servingcert.DefaultCheckInterval)
}

// presented returns the certificate that the webhook server presents now.
func presented(ctx context.Context) *x509.Certificate {
	GinkgoHelper()
	// Whose certificate it is does not matter here: the API server judges that.
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	connection, err := dialer.DialContext(ctx, "tcp", webhooks)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = connection.Close() }()
	session, ok := connection.(*tls.Conn)
	Expect(ok).To(BeTrue())
	return session.ConnectionState().PeerCertificates[0]
}
