package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"sync"
	"sync/atomic"
)

// AgentOptions is what an Agent needs.
type AgentOptions struct {
	// StateDir is for the Agent alone, and only one Agent may use it at a time.
	StateDir string
	Now      Clock
	Revoked  Revocations
}

// Agent is the listening side's identity: of a host agent or of an LB agent. It
// is safe for concurrent use.
type Agent struct {
	store   store
	key     *ecdsa.PrivateKey
	pin     Pin
	unnamed *tls.Certificate
	now     Clock
	revoked Revocations

	enrolment atomic.Pointer[enrolment]

	mu      sync.Mutex
	token   *verifier
	guesses guesses
}

// OpenAgent reads the agent's identity from its state directory, and makes its
// key at the very first start.
func OpenAgent(opts AgentOptions) (*Agent, error) {
	s, err := openStore(opts.StateDir)
	if err != nil {
		return nil, fmt.Errorf("open agent identity: %w", err)
	}
	a := &Agent{store: s, now: opts.Now, revoked: opts.Revoked}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("open agent identity: %w", err)
	}
	return a, nil
}

func (a *Agent) load() error {
	var err error
	if a.key, err = a.store.key(); err != nil {
		return err
	}
	// Nobody believes this certificate: it carries the key into the handshake.
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "agent that is not enrolled"},
		NotBefore: a.now().Add(-Backdate),
		NotAfter:  a.now().Add(CALifetime),
	}
	unnamed, err := sign(template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	a.pin, a.unnamed = PinOf(unnamed), tlsCertificate(a.key, unnamed)
	e, err := a.store.enrolment()
	if err != nil {
		return err
	}
	if e == nil {
		a.token, err = a.store.token()
		return err
	}
	if err := a.checkOwn(e); err != nil {
		return fmt.Errorf("state directory %s: %w", a.store.dir, err)
	}
	a.enrolment.Store(e)
	// The agent may have died between recording its enrolment and this.
	return a.store.burnToken()
}

// Pin returns the pin of the agent's own key.
func (a *Agent) Pin() Pin { return a.pin }

// Enrolled reports whether the agent belongs to a manager.
func (a *Agent) Enrolled() bool { return a.enrolment.Load() != nil }

// Certificate returns the agent's certificate, or nil before the enrolment.
func (a *Agent) Certificate() *x509.Certificate {
	if e := a.enrolment.Load(); e != nil {
		return e.leaf
	}
	return nil
}

// Arm makes the agent wait for the manager that knows the token. It keeps
// across restarts. An enrolled agent answers ErrAlreadyEnrolled and stays as it
// is, so a token that is still lying in a configuration file does no harm.
func (a *Agent) Arm(token Token) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Enrolled() {
		return fmt.Errorf("arm token %s: %w", token.ID(), ErrAlreadyEnrolled)
	}
	v, err := token.verifier()
	if err != nil {
		return err
	}
	if err := a.store.writeToken(v); err != nil {
		return fmt.Errorf("arm token %s: %w", token.ID(), err)
	}
	a.token = &v
	return nil
}

// ServerConfig returns the configuration for the agent's listener. It follows
// enrolment and renewal by itself, from the next handshake on. The handshake
// judges keys only; PeerOf and Authorize judge the call.
func (a *Agent) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
		Time:                   a.now,
		ClientAuth:             tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if e := a.enrolment.Load(); e != nil {
				return tlsCertificate(a.key, e.leaf, e.ca), nil
			}
			return a.unnamed, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := a.PeerOf(state)
			return err
		},
	}
}

// checkOwn judges what is to become the agent's certificate. Its dates are not
// looked at: the agent's clock may be the very thing that is wrong.
func (a *Agent) checkOwn(e *enrolment) error {
	if !a.key.PublicKey.Equal(e.leaf.PublicKey) {
		return fmt.Errorf("agent's certificate: %w", ErrPin)
	}
	if err := verifyIssuer(e.leaf, e.ca, x509.ExtKeyUsageServerAuth); err != nil {
		return fmt.Errorf("agent's certificate: %w", err)
	}
	return nil
}
