package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

const pinPrefix = "sha256:"

// Pin identifies a public key: the SHA-256 of its SubjectPublicKeyInfo. The
// zero Pin identifies no key. Its text form, "sha256:<hex>", is the one that
// kubeadm uses too.
type Pin [sha256.Size]byte

// PinOf returns the pin of a certificate's key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// ParsePin parses the text form.
func ParsePin(text string) (Pin, error) {
	var pin Pin
	digits, ok := strings.CutPrefix(text, pinPrefix)
	if !ok || len(digits) != hex.EncodedLen(len(pin)) {
		return Pin{}, fmt.Errorf("parse pin %q: want %q and %d hexadecimal digits", text, pinPrefix, hex.EncodedLen(len(pin)))
	}
	if _, err := hex.Decode(pin[:], []byte(digits)); err != nil {
		return Pin{}, fmt.Errorf("parse pin %q: %w", text, err)
	}
	return pin, nil
}

// IsZero reports whether the pin identifies no key.
func (p Pin) IsZero() bool { return p == Pin{} }

// String returns the text form.
func (p Pin) String() string { return pinPrefix + hex.EncodeToString(p[:]) }

// MarshalText implements encoding.TextMarshaler.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pin) UnmarshalText(text []byte) error {
	pin, err := ParsePin(string(text))
	if err != nil {
		return err
	}
	*p = pin
	return nil
}

// Revocations answers whether a key is revoked. It is asked at every handshake
// and every call, so it must be fast and safe for concurrent use. A nil
// Revocations revokes nothing.
type Revocations func(Pin) bool

func (r Revocations) check(cert *x509.Certificate) error {
	if pin := PinOf(cert); r != nil && r(pin) {
		return fmt.Errorf("key %s: %w", pin, ErrRevoked)
	}
	return nil
}
