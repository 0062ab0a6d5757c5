package pki

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
)

const (
	tokenPrefix     = "capstan-"
	tokenIDBytes    = 5
	tokenSecretSize = 32
)

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Token lets one manager and one agent recognise each other once. It is made
// for one agent, carried there by a way that only its owner can read, and
// worthless after the enrolment. Printing a Token shows its ID alone.
type Token struct {
	id     [tokenIDBytes]byte
	secret [tokenSecretSize]byte
}

// NewToken makes a token with a secret of 256 random bits.
func NewToken() Token {
	var token Token
	// crypto/rand.Read never fails: it ends the program first.
	_, _ = rand.Read(token.id[:])
	_, _ = rand.Read(token.secret[:])
	return token
}

// ParseToken parses the text form, "capstan-<id>.<secret>", with white space
// around it. Its errors never quote the input.
func ParseToken(text string) (Token, error) {
	var token Token
	body, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("%w: want %s<id>.<secret>", ErrToken, tokenPrefix)
	}
	id, secret, _ := strings.Cut(body, ".")
	if !decodeExactly(token.id[:], id) || !decodeExactly(token.secret[:], secret) {
		return Token{}, fmt.Errorf("%w: ID or secret is damaged", ErrToken)
	}
	return token, nil
}

// decodeExactly refuses every text but the one that encoding would write.
func decodeExactly(out []byte, text string) bool {
	if len(text) != tokenEncoding.EncodedLen(len(out)) {
		return false
	}
	decoded, err := tokenEncoding.DecodeString(text)
	if err != nil || len(decoded) != len(out) {
		return false
	}
	copy(out, decoded)
	return tokenEncoding.EncodeToString(out) == text
}

// ID returns the part of the token that is no secret.
func (t Token) ID() string { return tokenEncoding.EncodeToString(t.id[:]) }

// Reveal returns the text form, secret included.
func (t Token) Reveal() string {
	return tokenPrefix + t.ID() + "." + tokenEncoding.EncodeToString(t.secret[:])
}

// Equal compares two tokens in constant time.
func (t Token) Equal(other Token) bool {
	return subtle.ConstantTimeCompare(t.id[:], other.id[:])&
		subtle.ConstantTimeCompare(t.secret[:], other.secret[:]) == 1
}

// String returns the text form without the secret.
func (t Token) String() string { return tokenPrefix + t.ID() + ".***" }

// Format implements fmt.Formatter, so that no verb prints the secret.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }
