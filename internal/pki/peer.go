package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// PeerKind says what an agent knows about who is calling. The zero value is
// nobody and may do nothing.
type PeerKind int

const (
	// Unenrolled means that the agent has no manager yet, so the caller is a stranger.
	Unenrolled PeerKind = iota + 1
	// Manager means that the caller's certificate was issued by the CA whose key
	// the agent pins, and nothing of it is revoked.
	Manager
)

// Peer is who calls an agent.
type Peer struct {
	Kind PeerKind
	// Name is the manager's, from its certificate.
	Name string
	// Dates is nil if the manager's certificates are within their dates, and
	// an ErrDates if not.
	Dates error
}

// Operation is what a peer asks for. The zero value is an ordinary call, so
// that a method that nobody thought of is guarded like all the others.
type Operation int

const (
	// Ordinary is every call but those below.
	Ordinary Operation = iota
	// Enrolling covers both steps of an enrolment: Enrol and Install.
	Enrolling
	// Renewing is the one call that ignores dates.
	Renewing
)

// Authorize says whether the peer may do op: nil, or an error that is one of
// ErrNotEnrolled, ErrDates and ErrNotAllowed.
func (p Peer) Authorize(op Operation) error {
	switch {
	case p.Kind == Unenrolled && op == Enrolling:
		return nil
	case p.Kind == Unenrolled:
		return ErrNotEnrolled
	case p.Kind != Manager:
		return ErrNotAllowed
	case op == Renewing:
		return nil
	default:
		return p.Dates
	}
}

// PeerOf judges the other end of a connection that ServerConfig accepted, by
// what the agent knows now: a connection from before the enrolment, or of a key
// revoked since, gains and loses its rights at once. Call it for every RPC.
func (a *Agent) PeerOf(state tls.ConnectionState) (Peer, error) {
	e := a.enrolment.Load()
	if e == nil {
		return Peer{Kind: Unenrolled}, nil
	}
	if len(state.PeerCertificates) < 2 {
		return Peer{}, fmt.Errorf("identify caller: %w: want its certificate and its CA's", ErrUntrusted)
	}
	leaf, ca := state.PeerCertificates[0], state.PeerCertificates[1]
	if err := a.checkManager(leaf, ca, PinOf(e.ca)); err != nil {
		return Peer{}, fmt.Errorf("identify caller: %w", err)
	}
	peer := Peer{Kind: Manager, Name: leaf.Subject.CommonName}
	if err := verifyUsual(leaf, ca, x509.ExtKeyUsageClientAuth, a.now()); errors.Is(err, ErrDates) {
		peer.Dates = fmt.Errorf("certificate of manager %s: %w", peer.Name, err)
	} else if err != nil {
		return Peer{}, fmt.Errorf("identify caller: %w", err)
	}
	return peer, nil
}

// checkManager judges by keys alone, as Renew needs it.
func (a *Agent) checkManager(leaf, ca *x509.Certificate, pin Pin) error {
	if PinOf(ca) != pin {
		return fmt.Errorf("CA: %w", ErrPin)
	}
	if err := errors.Join(a.revoked.check(ca), a.revoked.check(leaf)); err != nil {
		return err
	}
	return verifyIssuer(leaf, ca, x509.ExtKeyUsageClientAuth)
}
