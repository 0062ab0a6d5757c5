package lbapitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"
)

// CA returns a certificate in PEM, as plans hold it. It is made once: plans need
// a certificate, not a different one each.
var CA = sync.OnceValue(func() string {
	der, _, err := certify(time.Unix(0, 0), time.Unix(1<<33, 0))
	if err != nil {
		panic(err)
	}
	return encode(der)
})

func certify(notBefore, notAfter time.Time, names ...string) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, DNSNames: names,
		IsCA: true, BasicConstraintsValid: true, NotBefore: notBefore, NotAfter: notAfter,
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return der, key, err
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
