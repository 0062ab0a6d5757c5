package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// ClientConfig returns the configuration for every call but enrolment and
// Renew: the agent must hold the pinned key and a certificate of the CA, for
// its name, within its dates. A handshake that fails by the dates alone fails
// with ErrDates.
func (m *ManagerIdentity) ClientConfig(agent AgentRef) *tls.Config {
	return m.config(agent, func(leaf *x509.Certificate) error {
		if agent.Pin.IsZero() {
			return errNoPin
		}
		// It signed its certificate itself, so it has none of ours.
		if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
			return ErrNotEnrolled
		}
		if err := leaf.VerifyHostname(agent.Name); err != nil {
			return fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		ca := m.CA().cert
		if err := verifyIssuer(leaf, ca, x509.ExtKeyUsageServerAuth); err != nil {
			return err
		}
		return verifyUsual(leaf, ca, x509.ExtKeyUsageServerAuth, m.now())
	})
}

// RenewConfig returns the configuration for Renew alone: the agent must hold
// the pinned key, and nothing else is asked.
func (m *ManagerIdentity) RenewConfig(agent AgentRef) *tls.Config {
	return m.config(agent, func(*x509.Certificate) error {
		if agent.Pin.IsZero() {
			return errNoPin
		}
		return nil
	})
}

// EnrolConfig returns the configuration for an enrolment alone: the agent may
// be anybody until it proves the token. A pin that is already recorded must
// match.
func (m *ManagerIdentity) EnrolConfig(agent AgentRef) *tls.Config {
	return m.config(agent, func(*x509.Certificate) error { return nil })
}

func (m *ManagerIdentity) config(agent AgentRef, judge func(*x509.Certificate) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		ServerName: agent.Name,
		Time:       m.now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return m.certificate()
		},
		// The standard check knows neither pins nor the injected CA that may be
		// reissued; VerifyConnection does it all instead, at every handshake.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf, err := m.checkKey(state, agent)
			if err == nil {
				err = judge(leaf)
			}
			if err != nil {
				return fmt.Errorf("agent %s: %w", agent.Name, err)
			}
			return nil
		},
	}
}

// checkKey returns the certificate that carries the agent's key, unless the key
// is revoked, of the wrong kind, or not the pinned one.
func (m *ManagerIdentity) checkKey(state tls.ConnectionState, agent AgentRef) (*x509.Certificate, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, fmt.Errorf("%w: it shows none", ErrUntrusted)
	}
	leaf := state.PeerCertificates[0]
	if _, err := publicKeyOf(leaf); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err := m.revoked.check(leaf); err != nil {
		return nil, err
	}
	if !agent.Pin.IsZero() && PinOf(leaf) != agent.Pin {
		return nil, fmt.Errorf("%w: it holds %s", ErrPin, PinOf(leaf))
	}
	return leaf, nil
}
