package enrol

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol/enrolpb"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// ErrRefused means that the agent ended the handshake, because it does not accept
// the manager's certificate. TLS gives the one refused no better reason.
var ErrRefused = errors.New("agent refuses the manager's certificate")

// reasons are the errors of internal/pki that cross the wire, by the name that
// they cross it under. Names are never used again for something else.
var reasons = []struct {
	name string
	err  error
	code codes.Code
}{
	{"AlreadyEnrolled", pki.ErrAlreadyEnrolled, codes.PermissionDenied},
	{"NotEnrolled", pki.ErrNotEnrolled, codes.Unauthenticated},
	{"NoToken", pki.ErrNoToken, codes.FailedPrecondition},
	{"TooManyGuesses", pki.ErrTooManyGuesses, codes.ResourceExhausted},
	{"Proof", pki.ErrProof, codes.Unauthenticated},
	{"Revoked", pki.ErrRevoked, codes.Unauthenticated},
	{"Pin", pki.ErrPin, codes.Unauthenticated},
	{"Dates", pki.ErrDates, codes.Unauthenticated},
	{"Untrusted", pki.ErrUntrusted, codes.Unauthenticated},
	{"NotAllowed", pki.ErrNotAllowed, codes.PermissionDenied},
}

// errorToStatus returns an error of internal/pki as the error of a gRPC method.
func errorToStatus(err error) error {
	if err == nil {
		return nil
	}
	code, detail := codes.Internal, &enrolpb.ErrorDetail{}
	for _, r := range reasons {
		if !errors.Is(err, r.err) {
			continue
		}
		if len(detail.Reasons) == 0 {
			code = r.code
		}
		detail.Reasons = append(detail.Reasons, r.name)
	}
	st := status.New(code, err.Error())
	if detailed, detailErr := st.WithDetails(detail); detailErr == nil {
		st = detailed
	}
	return st.Err()
}

// ErrorFromStatus returns err so that errors.Is finds the errors of internal/pki
// by which the agent refused the call. Other errors are returned as they are.
func ErrorFromStatus(err error) error {
	var refusal remoteError
	for _, detail := range status.Convert(err).Details() {
		d, ok := detail.(*enrolpb.ErrorDetail)
		if !ok {
			continue
		}
		for _, name := range d.GetReasons() {
			for _, r := range reasons {
				if r.name == name {
					refusal.causes = append(refusal.causes, r.err)
				}
			}
		}
	}
	if len(refusal.causes) == 0 {
		return err
	}
	refusal.error = err
	return &refusal
}

// remoteError reads as the agent's own message, which names the causes already.
type remoteError struct {
	error
	causes []error
}

func (e *remoteError) Error() string { return status.Convert(e.error).Message() }

func (e *remoteError) Unwrap() []error { return append([]error{e.error}, e.causes...) }
