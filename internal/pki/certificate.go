package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EncodeCertificates returns certificates in PEM, in their order.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, cert := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw}))
	}
	return out.Bytes()
}

// ParseCertificates parses PEM that holds certificates, at least one, and
// nothing else.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for len(bytes.TrimSpace(data)) != 0 {
		block, rest := pem.Decode(data)
		if block == nil || block.Type != pemCertificate {
			return nil, fmt.Errorf("parse certificates: want only PEM blocks %q", pemCertificate)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse certificates: %w", err)
		}
		certs, data = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return nil, errors.New("parse certificates: there is none")
	}
	return certs, nil
}

// verifyIssuer judges everything but dates: that ca, whose key the caller has
// already compared with a pin, issued leaf for this use.
func verifyIssuer(leaf, ca *x509.Certificate, usage x509.ExtKeyUsage) error {
	if _, err := publicKeyOf(ca); err != nil {
		return fmt.Errorf("CA: %w: %w", ErrUntrusted, err)
	}
	if _, err := publicKeyOf(leaf); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err := leaf.CheckSignatureFrom(ca); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	switch {
	case leaf.IsCA:
		return fmt.Errorf("%w: a CA certificate cannot stand for a peer", ErrUntrusted)
	case !slices.Contains(leaf.ExtKeyUsage, usage):
		return fmt.Errorf("%w: issued for another use", ErrUntrusted)
	case len(leaf.UnhandledCriticalExtensions) != 0 || len(ca.UnhandledCriticalExtensions) != 0:
		return fmt.Errorf("%w: unknown critical extension", ErrUntrusted)
	}
	return nil
}

// verifyUsual is the judgement of every call but Renew: the standard library's,
// dates included. A failure that only dates explain is ErrDates.
func verifyUsual(leaf, ca *x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: valid from %s until %s", ErrDates,
			invalid.Cert.NotBefore.Format(time.RFC3339), invalid.Cert.NotAfter.Format(time.RFC3339))
	default:
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
}

func tlsCertificate(key *ecdsa.PrivateKey, leaf *x509.Certificate, issuers ...*x509.Certificate) *tls.Certificate {
	out := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, issuer := range issuers {
		out.Certificate = append(out.Certificate, issuer.Raw)
	}
	return out
}
