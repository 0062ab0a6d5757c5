package servingcert

import (
	"crypto/x509"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The Secret's keys. ca.crt holds the authority first and then those before it
// that are still valid, for peers that still serve by them.
const (
	authorityBundleKey = "ca.crt"
	authorityKeyKey    = "ca.key"
)

// material is what the Secret holds. Whatever cannot be read of it is missing
// and made anew.
type material struct {
	authority keyPair
	former    []*x509.Certificate
	serving   keyPair
}

func decodeMaterial(data map[string][]byte) material {
	var m material
	if bundle := decodeCertificates(data[authorityBundleKey]); len(bundle) > 0 {
		m.authority.cert, m.former = bundle[0], bundle[1:]
	}
	m.authority.key = decodeKey(data[authorityKeyKey])
	if chain := decodeCertificates(data[corev1.TLSCertKey]); len(chain) > 0 {
		m.serving.cert = chain[0]
	}
	m.serving.key = decodeKey(data[corev1.TLSPrivateKeyKey])
	return m
}

func (m material) encode() (map[string][]byte, error) {
	authorityKey, err := m.authority.encodeKey()
	if err != nil {
		return nil, err
	}
	servingKey, err := m.serving.encodeKey()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		authorityBundleKey:      m.bundle(),
		authorityKeyKey:         authorityKey,
		corev1.TLSCertKey:       encodeCertificates(m.serving.cert),
		corev1.TLSPrivateKeyKey: servingKey,
	}, nil
}

// bundle is what the API server has to trust.
func (m material) bundle() []byte {
	return encodeCertificates(append([]*x509.Certificate{m.authority.cert}, m.former...)...)
}

// renew returns what the Secret should hold now, and whether that differs from
// what it holds.
func (m material) renew(now time.Time, n names) (material, bool, error) {
	next, changed := m, false
	var err error

	if !m.authority.validFor(now, authorityRenewBefore) || !m.authority.cert.IsCA {
		if next.authority, err = newAuthority(now); err != nil {
			return material{}, false, err
		}
		if m.authority.cert != nil {
			next.former = append([]*x509.Certificate{m.authority.cert}, m.former...)
		}
		changed = true
	}
	if former := stillTrusted(next.former, now); len(former) != len(next.former) {
		next.former, changed = former, true
	}
	if !next.serving.validFor(now, RenewBefore) || !next.serving.serves(n, next.authority) {
		if next.serving, err = newServing(now, n, next.authority); err != nil {
			return material{}, false, err
		}
		changed = true
	}
	return next, changed, nil
}

func stillTrusted(certs []*x509.Certificate, now time.Time) []*x509.Certificate {
	var valid []*x509.Certificate
	for _, cert := range certs {
		if cert.IsCA && now.Before(cert.NotAfter) {
			valid = append(valid, cert)
		}
	}
	return valid
}
