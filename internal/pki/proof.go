package pki

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// The channel binding of RFC 9266. Both ends of one TLS 1.3 connection, and
	// nobody else, can derive it.
	exporterLabel = "EXPORTER-Channel-Binding"
	exporterSize  = 32

	proofDomain = "capstan enrolment v1"
)

// A role names who proves what. Each has a key of its own, so that a proof sent
// back to its author, or one step's proof used in another, is just noise.
type role string

const (
	managerAsks      role = " manager asks"
	agentAnswers     role = " agent answers"
	managerCertifies role = " manager certifies"
)

// verifier is what remains of a token: enough to make and check proofs.
type verifier struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

func (t Token) verifier() (verifier, error) {
	key, err := hkdf.Extract(sha256.New, t.secret[:], []byte(proofDomain))
	if err != nil {
		return verifier{}, fmt.Errorf("derive from token %s: %w", t.ID(), err)
	}
	return verifier{ID: t.ID(), Key: key}, nil
}

// An exchange is what every proof of one enrolment speaks about.
type exchange struct {
	binding []byte
	tokenID string
	agent   Pin
	ca      []byte
}

func newExchange(state tls.ConnectionState, tokenID string, agent Pin, ca []byte) (exchange, error) {
	if state.Version != tls.VersionTLS13 {
		return exchange{}, errors.New("bind to channel: want TLS 1.3")
	}
	binding, err := state.ExportKeyingMaterial(exporterLabel, nil, exporterSize)
	if err != nil {
		return exchange{}, fmt.Errorf("bind to channel: %w", err)
	}
	return exchange{binding: binding, tokenID: tokenID, agent: agent, ca: ca}, nil
}

// prove returns the proof of one role over the exchange and what this step adds.
func (e exchange) prove(v verifier, as role, step ...[]byte) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, v.Key, proofDomain+string(as), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive proof key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	for _, field := range append([][]byte{e.binding, []byte(e.tokenID), e.agent[:], e.ca}, step...) {
		// The length in front keeps two fields from being read as two others.
		_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		_, _ = mac.Write(field)
	}
	return mac.Sum(nil), nil
}

// check compares a proof in constant time.
func (e exchange) check(v verifier, as role, proof []byte, step ...[]byte) error {
	want, err := e.prove(v, as, step...)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, proof) {
		return ErrProof
	}
	return nil
}
