package traffic_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

func TestChecksAreAnsweredAsWasSaidLast(t *testing.T) {
	g, health := NewWithT(t), traffic.Health{Dir: t.TempDir(), Server: "b1"}
	listener := serveChecks(t, "127.0.0.1:0", health.Dir)
	ca, err := pki.NewCA("lab", time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "kubernetes"},
	}}
	ask := func(scheme, path string) (int, error) {
		response, err := client.Get(scheme + "://" + listener.Addr().String() + path)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}

	g.Expect(ask("http", "/readyz")).To(Equal(http.StatusNotFound))
	g.Expect(health.Say("/readyz", http.StatusOK)).To(Succeed())
	g.Expect(ask("http", "/readyz")).To(Equal(http.StatusOK))
	g.Expect(ask("http", "/healthz")).To(Equal(http.StatusNotFound))
	g.Expect(health.Say("/readyz", http.StatusInternalServerError)).To(Succeed())
	g.Expect(ask("http", "/readyz")).To(Equal(http.StatusInternalServerError))

	_, err = ask("https", "/readyz")
	g.Expect(err).To(HaveOccurred(), "it has no certificate")
	key, err := pki.NewKey()
	g.Expect(err).NotTo(HaveOccurred())
	certificate, err := ca.IssueServer(&key.PublicKey, "b1", []string{"kubernetes"}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	keyPEM, err := pki.EncodeKey(key)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(health.Certify(pki.EncodeCertificates(certificate), keyPEM)).To(Succeed())
	g.Expect(ask("https", "/readyz")).To(Equal(http.StatusInternalServerError))
	g.Expect(ask("http", "/readyz")).To(Equal(http.StatusInternalServerError))
	g.Expect(traffic.Try(listener.Addr().String(), time.Second)).To(Equal("b1"), "requests are answered beside")
}
