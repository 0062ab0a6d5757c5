package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

func TestAReissuedCAKeepsKeyNameAndWhatItSigned(t *testing.T) {
	g := NewWithT(t)
	now := newClock().Now()
	ca, err := pki.NewCA("capstan test", now)
	g.Expect(err).NotTo(HaveOccurred())
	key, err := pki.NewKey()
	g.Expect(err).NotTo(HaveOccurred())
	leaf, err := ca.IssueClient(&key.PublicKey, "manager", now)
	g.Expect(err).NotTo(HaveOccurred())

	again, err := ca.Reissue(now.Add(time.Hour))
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(again.Pin()).To(Equal(ca.Pin()))
	g.Expect(again.Certificate().RawSubject).To(Equal(ca.Certificate().RawSubject))
	g.Expect(again.Certificate().SerialNumber).NotTo(Equal(ca.Certificate().SerialNumber))
	g.Expect(again.Certificate().NotAfter).To(Equal(ca.Certificate().NotAfter.Add(time.Hour)))
	g.Expect(leaf.CheckSignatureFrom(again.Certificate())).To(Succeed())
}

func TestACASurvivesItsTextForm(t *testing.T) {
	g := NewWithT(t)
	ca, err := pki.NewCA("capstan test", newClock().Now())
	g.Expect(err).NotTo(HaveOccurred())
	keyPEM, err := ca.KeyPEM()
	g.Expect(err).NotTo(HaveOccurred())

	parsed, err := pki.ParseCA(ca.CertificatePEM(), keyPEM)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(parsed.Pin()).To(Equal(ca.Pin()))

	other, err := pki.NewCA("other", newClock().Now())
	g.Expect(err).NotTo(HaveOccurred())
	_, err = pki.ParseCA(other.CertificatePEM(), keyPEM)
	g.Expect(err).To(HaveOccurred(), "key of another")
	_, err = pki.ParseCA(append(ca.CertificatePEM(), other.CertificatePEM()...), keyPEM)
	g.Expect(err).To(HaveOccurred(), "two certificates")
	key, err := pki.ParseKey(keyPEM)
	g.Expect(err).NotTo(HaveOccurred())
	leaf, err := ca.IssueClient(&key.PublicKey, "leaf with the CA's key", newClock().Now())
	g.Expect(err).NotTo(HaveOccurred())
	_, err = pki.ParseCA(pki.EncodeCertificates(leaf), keyPEM)
	g.Expect(err).To(HaveOccurred(), "not a CA")
}

func TestACAWithAnotherKeyNeverReplacesTheOne(t *testing.T) {
	w := newEnrolledWorld(t)
	other, err := pki.NewCA("other", w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(w.manager.SetCA(other)).To(MatchError(pki.ErrPin))
	w.g.Expect(w.ordinary()).To(Succeed())
}

func TestIssuedCertificates(t *testing.T) {
	g := NewWithT(t)
	now := newClock().Now()
	ca, err := pki.NewCA("capstan test", now)
	g.Expect(err).NotTo(HaveOccurred())
	key, err := pki.NewKey()
	g.Expect(err).NotTo(HaveOccurred())

	leaf, err := ca.IssueServer(&key.PublicKey, hostName, []string{hostAddr, "fd00::1", hostName, "alias.example.test"}, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(leaf.DNSNames).To(Equal([]string{hostName, "alias.example.test"}))
	g.Expect(leaf.IPAddresses).To(HaveLen(2))
	g.Expect(leaf.NotBefore).To(Equal(now.Add(-25 * time.Hour)))
	g.Expect(leaf.NotAfter).To(Equal(now.Add(7 * 24 * time.Hour)))
	g.Expect(leaf.IsCA).To(BeFalse())
	g.Expect(leaf.ExtKeyUsage).To(Equal([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}))

	for _, host := range []string{"", "10.0.0.1:9443", "host:1", "a b", "https://host"} {
		_, err := ca.IssueServer(&key.PublicKey, hostName, []string{host}, now)
		g.Expect(err).To(HaveOccurred(), host)
	}

	late := ca.Certificate().NotAfter.Add(-time.Hour)
	last, err := ca.IssueClient(&key.PublicKey, "manager", late)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(last.NotAfter).To(Equal(ca.Certificate().NotAfter), "never beyond the CA's own end")
	_, err = ca.IssueClient(&key.PublicKey, "manager", late.Add(2*time.Hour))
	g.Expect(err).To(MatchError(pki.ErrDates))
}

func TestNeedsRenewal(t *testing.T) {
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(9 * time.Hour)}
	for after, want := range map[time.Duration]bool{
		-time.Second:                true,
		0:                           false,
		6*time.Hour - time.Second:   false,
		6 * time.Hour:               true,
		9*time.Hour + time.Second:   true,
		400 * 24 * time.Hour:        true,
		-400 * 24 * time.Hour:       true,
		3*time.Hour + 5*time.Minute: false,
	} {
		NewWithT(t).Expect(pki.NeedsRenewal(cert, begin.Add(after))).To(Equal(want), after.String())
	}
}

func TestOnlyP256KeysAreParsed(t *testing.T) {
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = pki.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	g.Expect(err).To(HaveOccurred())
}
