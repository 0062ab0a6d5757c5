package servingcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// names are the names that a serving certificate must bear.
type names struct {
	dns []string
	ips []net.IP
}

// keyPair is a certificate with its private key. The zero value is one that is
// missing.
type keyPair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(now time.Time) (keyPair, error) {
	return issue(x509.Certificate{
		Subject:               pkix.Name{CommonName: "capstan-webhook-ca"},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(authorityLifetime),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, keyPair{})
}

func newServing(now time.Time, n names, authority keyPair) (keyPair, error) {
	return issue(x509.Certificate{
		Subject:               pkix.Name{CommonName: "capstan-webhook"},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(Lifetime),
		DNSNames:              n.dns,
		IPAddresses:           n.ips,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority)
}

// issue signs the template by the given authority, or by itself if there is none.
func issue(template x509.Certificate, authority keyPair) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("making the key of %s: %w", template.Subject.CommonName, err)
	}
	parent, signer := authority.cert, authority.key
	if parent == nil {
		parent, signer = &template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return keyPair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return keyPair{}, fmt.Errorf("reading back the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return keyPair{cert: cert, key: key}, nil
}

// validFor says whether the pair can be used now and still for the given time.
// A certificate that begins in the future is as useless as one that has ended:
// it was made under a wrong clock.
func (p keyPair) validFor(now time.Time, left time.Duration) bool {
	return p.cert != nil && p.key != nil && p.key.PublicKey.Equal(p.cert.PublicKey) &&
		!now.Before(p.cert.NotBefore) && now.Add(left).Before(p.cert.NotAfter)
}

// serves says whether the pair proves all the names to who trusts the authority.
func (p keyPair) serves(n names, authority keyPair) bool {
	if p.cert == nil || p.cert.CheckSignatureFrom(authority.cert) != nil {
		return false
	}
	for _, name := range n.dns {
		if p.cert.VerifyHostname(name) != nil {
			return false
		}
	}
	for _, ip := range n.ips {
		if p.cert.VerifyHostname(ip.String()) != nil {
			return false
		}
	}
	return true
}

func (p keyPair) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}
}

func (p keyPair) encodeKey() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, errors.New("encoding a private key failed")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func decodeKey(raw []byte) *ecdsa.PrivateKey {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	ecdsaKey, _ := key.(*ecdsa.PrivateKey)
	return ecdsaKey
}

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, cert := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return out
}

// decodeCertificates returns what can be read and skips the rest: a bundle with
// one broken certificate still holds the others.
func decodeCertificates(raw []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}
