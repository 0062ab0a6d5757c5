package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Enrolment is the manager's side of one enrolment, on one connection. Use:
// Request, send, Accept, record the pin, Certify, send. It is not safe for
// concurrent use.
type Enrolment struct {
	manager  *ManagerIdentity
	agent    AgentRef
	verifier verifier
	exchange exchange
	cert     *x509.Certificate
	ca       *CA
	asked    []byte
	proven   bool
}

var errNotProven = errors.New("the agent has not proven the token")

// Enrol begins an enrolment on a connection that was made with EnrolConfig.
func (m *ManagerIdentity) Enrol(state tls.ConnectionState, agent AgentRef, token Token) (*Enrolment, error) {
	cert, err := m.checkKey(state, agent)
	if err != nil {
		return nil, fmt.Errorf("enrol agent %s: %w", agent.Name, err)
	}
	v, err := token.verifier()
	if err != nil {
		return nil, fmt.Errorf("enrol agent %s: %w", agent.Name, err)
	}
	e := &Enrolment{manager: m, agent: agent, verifier: v, cert: cert, ca: m.CA()}
	if e.exchange, err = newExchange(state, v.ID, PinOf(cert), e.ca.cert.Raw); err != nil {
		return nil, fmt.Errorf("enrol agent %s: %w", agent.Name, err)
	}
	if e.asked, err = e.exchange.prove(v, managerAsks); err != nil {
		return nil, fmt.Errorf("enrol agent %s: %w", agent.Name, err)
	}
	return e, nil
}

// Request returns the first message.
func (e *Enrolment) Request() EnrolRequest {
	return EnrolRequest{TokenID: e.verifier.ID, CACertificate: e.ca.cert.Raw, ManagerProof: e.asked}
}

// Accept judges the agent's answer and returns its pin, which the caller must
// record before it sends what Certify returns. An agent that says it is
// enrolled is believed only if its pin was on record before.
func (e *Enrolment) Accept(resp EnrolResponse) (Pin, error) {
	pin := PinOf(e.cert)
	if resp.AlreadyEnrolled {
		if e.agent.Pin != pin {
			return Pin{}, fmt.Errorf("enrol agent %s: %w, and its key is not on record", e.agent.Name, ErrAlreadyEnrolled)
		}
	} else if err := e.exchange.check(e.verifier, agentAnswers, resp.AgentProof, e.asked); err != nil {
		return Pin{}, fmt.Errorf("enrol agent %s: %w", e.agent.Name, err)
	}
	e.proven = true
	return pin, nil
}

// Certify issues the agent's certificate. It refuses before Accept has
// succeeded.
func (e *Enrolment) Certify() (InstallRequest, error) {
	if !e.proven {
		return InstallRequest{}, fmt.Errorf("certify agent %s: %w", e.agent.Name, errNotProven)
	}
	key, err := publicKeyOf(e.cert)
	if err != nil {
		return InstallRequest{}, fmt.Errorf("certify agent %s: %w", e.agent.Name, err)
	}
	leaf, err := e.ca.IssueServer(key, e.agent.Name, e.agent.Hosts, e.manager.now())
	if err != nil {
		return InstallRequest{}, fmt.Errorf("certify agent %s: %w", e.agent.Name, err)
	}
	proof, err := e.exchange.prove(e.verifier, managerCertifies, leaf.Raw)
	if err != nil {
		return InstallRequest{}, fmt.Errorf("certify agent %s: %w", e.agent.Name, err)
	}
	return InstallRequest{
		TokenID:       e.verifier.ID,
		CACertificate: e.ca.cert.Raw,
		Certificate:   leaf.Raw,
		ManagerProof:  proof,
	}, nil
}
