package pki

import "errors"

// What a caller decides upon. Each is wrapped with what was being done and to
// whom; test with errors.Is.
var (
	// ErrDates: the certificate is genuine, but now lies outside its dates. The
	// way out is Renew.
	ErrDates = errors.New("outside the certificate's dates")
	// ErrPin: the peer holds another key than the pinned one.
	ErrPin = errors.New("public key does not match the pin")
	// ErrRevoked: the key is revoked. Nothing overrides it.
	ErrRevoked = errors.New("public key is revoked")
	// ErrUntrusted: the certificate was not issued by the CA, or not for this
	// name or use.
	ErrUntrusted = errors.New("certificate is not trusted")
	// ErrNotEnrolled: the agent has no manager yet and answers to Enrol only.
	ErrNotEnrolled = errors.New("agent is not enrolled")
	// ErrAlreadyEnrolled: the agent belongs to a manager. Another manager, or
	// another token, changes nothing.
	ErrAlreadyEnrolled = errors.New("agent is already enrolled")
	// ErrProof: the other side has not shown that it knows the token on this
	// very connection.
	ErrProof = errors.New("proof of the enrolment token is wrong")
	// ErrNoToken: the agent waits for no enrolment.
	ErrNoToken = errors.New("no enrolment token is armed")
	// ErrTooManyGuesses: wrong proofs came too fast; try again later.
	ErrTooManyGuesses = errors.New("too many wrong proofs")
	// ErrToken: the text is not an enrolment token.
	ErrToken = errors.New("not an enrolment token")
	// ErrNotAllowed: the peer may not call this operation.
	ErrNotAllowed = errors.New("not allowed for this peer")
)
