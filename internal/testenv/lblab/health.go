package lblab

import (
	"fmt"
	"net/http"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// apiName is the name that the certificates of API servers bear.
const apiName = "kubernetes.default.svc"

// APIServers is an authority for the servers, by which each can become an API server:
// it answers requests as before, and checks of /readyz over TLS beside them.
type APIServers struct {
	lab *Lab
	ca  *pki.CA
}

// NewAPIServers returns a new authority.
func (l *Lab) NewAPIServers() (*APIServers, error) {
	ca, err := pki.NewCA("kubernetes", time.Now())
	return &APIServers{lab: l, ca: ca}, err
}

// Check is the one that a manager plans for these servers, but for how often.
func (a *APIServers) Check() lbapi.Check {
	check := Check()
	check.Kind, check.Path, check.ServerName, check.CA = lbapi.CheckTLSReadyz, "/readyz", apiName, string(a.ca.CertificatePEM())
	// A handshake takes longer than an accepted connection.
	check.Timeout = time.Second
	return check
}

// Certify gives the server a certificate for names, in place of any it had; for the
// one that is asked for where none are given.
func (a *APIServers) Certify(number int, names ...string) error {
	if len(names) == 0 {
		names = []string{apiName}
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	certificate, err := a.ca.IssueServer(&key.PublicKey, "kube-apiserver", names, time.Now())
	if err != nil {
		return err
	}
	encoded, err := pki.EncodeKey(key)
	if err != nil {
		return err
	}
	health := a.lab.Health(number)
	if err := health.Certify(pki.EncodeCertificates(certificate), encoded); err != nil {
		return err
	}
	return health.Say("/readyz", http.StatusOK)
}

// Health is what the server says to checks.
func (l *Lab) Health(number int) traffic.Health {
	return traffic.Health{Dir: l.Servers.Disk(), Server: fmt.Sprintf("s%d", number)}
}
