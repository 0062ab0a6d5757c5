package hostclient

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Enrol makes the agent that waits with token the manager's. record is called
// with its pin before the agent is bound; what it records is the Pin of the
// Target from then on. target.Pin may be zero.
func Enrol(ctx context.Context, target Target, manager *pki.ManagerIdentity, token pki.Token, record func(context.Context, pki.Pin) error) error {
	ctx, cancel := context.WithTimeout(ctx, usualDeadline)
	defer cancel()
	err := enrol.Enrol(ctx, target.Address, manager, target.ref(), token, record)
	return outsideCall("Enrol", err)
}

// Renew gives the agent a certificate with new dates, whatever the dates of its
// old one. It is the way out of hostapi.ErrCertificateDates.
func (c *Client) Renew(ctx context.Context) error {
	if err := Renew(ctx, c.target, c.manager); err != nil {
		return err
	}
	c.trust.renewed()
	// Do not wait out the delay that the failures before have earned.
	c.conn.ResetConnectBackoff()
	return nil
}

// Renew is Client.Renew for an agent that there is no Client of.
func Renew(ctx context.Context, target Target, manager *pki.ManagerIdentity) error {
	ctx, cancel := context.WithTimeout(ctx, usualDeadline)
	defer cancel()
	return outsideCall("Renew", enrol.Renew(ctx, target.Address, manager, target.ref()))
}

// NeedsRenewal tells whether the certificate that the agent showed last should
// be renewed soon.
func (c *Client) NeedsRenewal(now time.Time) bool { return c.trust.needsRenewal(now) }

// outsideCall types the error of an exchange that has a connection of its own.
func outsideCall(op string, err error) error {
	if err == nil {
		return nil
	}
	reason := reasonOf(err)
	typed := &hostapi.Error{Class: hostapi.HostUnreachable, Op: op, Message: message(err), Err: err}
	if reason != nil {
		typed.Err = &reasoned{error: err, reason: reason}
	}
	return typed
}

// reasoned adds a reason to an error that says enough.
type reasoned struct {
	error
	reason error
}

func (e *reasoned) Unwrap() []error { return []error{e.error, e.reason} }

// trust remembers the certificate that an agent showed last.
type trust struct {
	mu   sync.Mutex
	leaf *x509.Certificate
	// done is the certificate that was renewed: a connection goes on showing the
	// one it began with.
	done *x509.Certificate
}

func (t *trust) saw(agent peer.Peer) {
	secured, ok := agent.AuthInfo.(credentials.TLSInfo)
	if !ok || len(secured.State.PeerCertificates) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaf = secured.State.PeerCertificates[0]
}

func (t *trust) renewed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = t.leaf
}

func (t *trust) needsRenewal(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leaf == nil || t.leaf.Equal(t.done) {
		return false
	}
	return pki.NeedsRenewal(t.leaf, now)
}

// certifiedHosts returns what an agent is dialled at, for its certificate.
func certifiedHosts(address string) []string {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return nil
	}
	return []string{host}
}
