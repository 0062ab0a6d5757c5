package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Enrol answers the first step of an enrolment on the connection that state
// belongs to. It changes nothing: the agent trusts nobody before Install.
func (a *Agent) Enrol(state tls.ConnectionState, req EnrolRequest) (EnrolResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Enrolled() {
		if err := a.checkSameManager(state, req.CACertificate); err != nil {
			return EnrolResponse{}, fmt.Errorf("enrol: %w", err)
		}
		return EnrolResponse{AlreadyEnrolled: true}, nil
	}
	ex, err := a.checkProof(state, req.TokenID, req.CACertificate, managerAsks, req.ManagerProof)
	if err != nil {
		return EnrolResponse{}, fmt.Errorf("enrol: %w", err)
	}
	proof, err := ex.prove(*a.token, agentAnswers, req.ManagerProof)
	if err != nil {
		return EnrolResponse{}, fmt.Errorf("enrol: %w", err)
	}
	return EnrolResponse{AgentProof: proof}, nil
}

// Install ends an enrolment: it records the certificate, pins the CA's key and
// burns the token. It may be repeated by the same manager.
func (a *Agent) Install(state tls.ConnectionState, req InstallRequest) (InstallResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Enrolled() {
		if err := a.checkSameManager(state, req.CACertificate); err != nil {
			return InstallResponse{}, fmt.Errorf("install certificate: %w", err)
		}
		return InstallResponse{}, a.replace(req.Certificate, req.CACertificate)
	}
	if _, err := a.checkProof(state, req.TokenID, req.CACertificate, managerCertifies, req.ManagerProof, req.Certificate); err != nil {
		return InstallResponse{}, fmt.Errorf("install certificate: %w", err)
	}
	ca, err := x509.ParseCertificate(req.CACertificate)
	if err != nil {
		return InstallResponse{}, fmt.Errorf("install certificate: CA: %w", err)
	}
	// A manager that could never come back must not take the agent.
	if len(state.PeerCertificates) == 0 {
		return InstallResponse{}, fmt.Errorf("install certificate: %w: the manager shows no certificate", ErrUntrusted)
	}
	if err := a.checkManager(state.PeerCertificates[0], ca, PinOf(ca)); err != nil {
		return InstallResponse{}, fmt.Errorf("install certificate: manager: %w", err)
	}
	if err := a.replace(req.Certificate, req.CACertificate); err != nil {
		return InstallResponse{}, err
	}
	a.token = nil
	return InstallResponse{}, a.store.burnToken()
}

// Renew replaces the certificate, whatever the dates of the old ones, if both
// keys are the pinned ones.
func (a *Agent) Renew(state tls.ConnectionState, req RenewRequest) (RenewResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.Enrolled() {
		return RenewResponse{}, fmt.Errorf("renew: %w", ErrNotEnrolled)
	}
	if err := a.checkSameManager(state, req.CACertificate); err != nil {
		return RenewResponse{}, fmt.Errorf("renew: %w", err)
	}
	return RenewResponse{}, a.replace(req.Certificate, req.CACertificate)
}

// checkSameManager lets only the manager that the agent belongs to pass, and
// only with the CA key that the agent pins.
func (a *Agent) checkSameManager(state tls.ConnectionState, ca []byte) error {
	if _, err := a.PeerOf(state); err != nil {
		return fmt.Errorf("%w: %w", ErrAlreadyEnrolled, err)
	}
	cert, err := x509.ParseCertificate(ca)
	if err != nil {
		return fmt.Errorf("CA: %w", err)
	}
	if PinOf(cert) != PinOf(a.enrolment.Load().ca) {
		return fmt.Errorf("%w: CA: %w", ErrAlreadyEnrolled, ErrPin)
	}
	return nil
}

// checkProof compares a manager's proof. A wrong token ID and a wrong proof
// look the same from outside.
func (a *Agent) checkProof(state tls.ConnectionState, tokenID string, ca []byte, as role, proof []byte, step ...[]byte) (exchange, error) {
	if a.token == nil {
		return exchange{}, ErrNoToken
	}
	if a.guesses.refused(a.now()) {
		return exchange{}, ErrTooManyGuesses
	}
	ex, err := newExchange(state, a.token.ID, a.pin, ca)
	if err != nil {
		return exchange{}, err
	}
	err = ex.check(*a.token, as, proof, step...)
	if err == nil && tokenID != a.token.ID {
		err = ErrProof
	}
	if err != nil {
		a.guesses.fail()
		return exchange{}, err
	}
	return ex, nil
}

// replace records a certificate for the agent's own key and serves it from now
// on.
func (a *Agent) replace(leafDER, caDER []byte) error {
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return fmt.Errorf("install certificate: %w", err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return fmt.Errorf("install certificate: CA: %w", err)
	}
	e := &enrolment{leaf: leaf, ca: ca}
	if err := a.checkOwn(e); err != nil {
		return fmt.Errorf("install certificate: %w", err)
	}
	if err := a.store.writeEnrolment(e); err != nil {
		return fmt.Errorf("install certificate: %w", err)
	}
	a.enrolment.Store(e)
	return nil
}
