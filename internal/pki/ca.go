package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// CA issues the certificates of one Capstan installation. Its key is the
// identity that agents pin; its certificate may be made anew at any time. A CA
// is immutable and safe for concurrent use.
type CA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewCA makes a CA with a key of its own.
func NewCA(name string, now time.Time) (*CA, error) {
	key, err := NewKey()
	if err != nil {
		return nil, fmt.Errorf("make CA %s: %w", name, err)
	}
	return selfSigned(key, pkix.Name{CommonName: name}, now)
}

// ParseCA reads a CA from PEM. It does not judge dates: an expired CA is
// reissued, not lost.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	certs, err := ParseCertificates(certPEM)
	if err != nil {
		return nil, fmt.Errorf("parse CA: %w", err)
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("parse CA: %w", err)
	}
	cert := certs[0]
	switch {
	case len(certs) != 1:
		return nil, fmt.Errorf("parse CA: want one certificate, found %d", len(certs))
	case !key.PublicKey.Equal(cert.PublicKey):
		return nil, errors.New("parse CA: key and certificate do not belong together")
	}
	if err := cert.CheckSignatureFrom(cert); err != nil {
		return nil, fmt.Errorf("parse CA: %w", err)
	}
	return &CA{key: key, cert: cert}, nil
}

// Reissue returns the same CA with new dates: same key, same name, same pin.
func (ca *CA) Reissue(now time.Time) (*CA, error) {
	return selfSigned(ca.key, ca.cert.Subject, now)
}

// Certificate returns the CA's certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Pin returns the pin of the CA's key.
func (ca *CA) Pin() Pin { return PinOf(ca.cert) }

// NeedsReissue reports whether the CA's certificate should be made anew.
func (ca *CA) NeedsReissue(now time.Time) bool { return NeedsRenewal(ca.cert, now) }

// CertificatePEM returns the certificate as ParseCA reads it.
func (ca *CA) CertificatePEM() []byte { return EncodeCertificates(ca.cert) }

// KeyPEM returns the key as ParseCA reads it.
func (ca *CA) KeyPEM() ([]byte, error) { return EncodeKey(ca.key) }

// IssueClient issues a manager's certificate.
func (ca *CA) IssueClient(key *ecdsa.PublicKey, name string, now time.Time) (*x509.Certificate, error) {
	return ca.issue(key, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

// IssueServer issues an agent's certificate for its name and for the hosts, DNS
// names or addresses without a port, at which it is dialled.
func (ca *CA) IssueServer(key *ecdsa.PublicKey, name string, hosts []string, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range append([]string{name}, hosts...) {
		ip := net.ParseIP(host)
		switch {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case host == "" || strings.ContainsAny(host, ":/ "):
			return nil, fmt.Errorf("issue certificate for %s: %q is neither an address nor a DNS name", name, host)
		case !slices.Contains(template.DNSNames, host):
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return ca.issue(key, template, now)
}

func (ca *CA) issue(key *ecdsa.PublicKey, template *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	template.NotBefore = now.Add(-Backdate)
	template.NotAfter = now.Add(LeafLifetime)
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	if !template.NotAfter.After(now) {
		return nil, fmt.Errorf("issue certificate for %s: the CA must be reissued first: %w", template.Subject.CommonName, ErrDates)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	return sign(template, ca.cert, key, ca.key)
}

func selfSigned(key *ecdsa.PrivateKey, subject pkix.Name, now time.Time) (*CA, error) {
	template := &x509.Certificate{
		Subject:               subject,
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(CALifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &CA{key: key, cert: cert}, nil
}

func sign(template, parent *x509.Certificate, key *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}
