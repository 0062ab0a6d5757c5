package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
)

// ManagerOptions is what a ManagerIdentity needs.
type ManagerOptions struct {
	// Name is written into the manager's certificate, for the agents' logs.
	Name    string
	CA      *CA
	Now     Clock
	Revoked Revocations
}

// ManagerIdentity is the dialling side's identity. Its key is made at each
// start and never stored: agents pin the CA's. It is safe for concurrent use.
type ManagerIdentity struct {
	name    string
	key     *ecdsa.PrivateKey
	now     Clock
	revoked Revocations

	mu   sync.Mutex
	ca   *CA
	leaf *tls.Certificate
}

// NewManager makes a manager's identity.
func NewManager(opts ManagerOptions) (*ManagerIdentity, error) {
	key, err := NewKey()
	if err != nil {
		return nil, fmt.Errorf("make manager identity: %w", err)
	}
	return &ManagerIdentity{name: opts.Name, key: key, now: opts.Now, revoked: opts.Revoked, ca: opts.CA}, nil
}

// SetCA puts a reissued CA in use, from the next handshake on. A CA with
// another key is refused: no agent would know it.
func (m *ManagerIdentity) SetCA(ca *CA) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ca.Pin() != m.ca.Pin() {
		return fmt.Errorf("replace CA: %w", ErrPin)
	}
	m.ca, m.leaf = ca, nil
	return nil
}

// CA returns the CA in use.
func (m *ManagerIdentity) CA() *CA {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ca
}

// certificate returns the manager's certificate and renews it when due.
func (m *ManagerIdentity) certificate() (*tls.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.leaf != nil && !NeedsRenewal(m.leaf.Leaf, now) {
		return m.leaf, nil
	}
	leaf, err := m.ca.IssueClient(&m.key.PublicKey, m.name, now)
	if err != nil {
		return nil, err
	}
	m.leaf = tlsCertificate(m.key, leaf, m.ca.cert)
	return m.leaf, nil
}

// AgentRef is what a manager knows about an agent.
type AgentRef struct {
	// Name is what the agent's certificate must say.
	Name string
	// Hosts are the DNS names and addresses, without port, to be certified
	// beside the name.
	Hosts []string
	// Pin is of the agent's key. It is zero until the enrolment.
	Pin Pin
}

var errNoPin = errors.New("the agent's key is not pinned yet")

// Renewal returns fresh certificates for the agent at the other end of a
// connection that was made with ClientConfig or RenewConfig.
func (m *ManagerIdentity) Renewal(state tls.ConnectionState, agent AgentRef) (RenewRequest, error) {
	cert, err := m.checkKey(state, agent)
	if err == nil && agent.Pin.IsZero() {
		err = errNoPin
	}
	if err != nil {
		return RenewRequest{}, fmt.Errorf("renew certificate of agent %s: %w", agent.Name, err)
	}
	key, err := publicKeyOf(cert)
	if err != nil {
		return RenewRequest{}, fmt.Errorf("renew certificate of agent %s: %w", agent.Name, err)
	}
	ca := m.CA()
	leaf, err := ca.IssueServer(key, agent.Name, agent.Hosts, m.now())
	if err != nil {
		return RenewRequest{}, fmt.Errorf("renew certificate of agent %s: %w", agent.Name, err)
	}
	return RenewRequest{CACertificate: ca.cert.Raw, Certificate: leaf.Raw}, nil
}
