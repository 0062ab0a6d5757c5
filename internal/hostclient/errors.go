package hostclient

import (
	"errors"
	"path"

	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// reasonOf tells why trust failed, or returns nil if that is not why a call
// failed.
func reasonOf(err error) error {
	switch {
	case errors.Is(err, pki.ErrDates):
		return hostapi.ErrCertificateDates
	case errors.Is(err, pki.ErrNotEnrolled):
		return hostapi.ErrNotEnrolled
	case errors.Is(err, pki.ErrPin), errors.Is(err, pki.ErrUntrusted), errors.Is(err, pki.ErrRevoked),
		errors.Is(err, pki.ErrNotAllowed), errors.Is(err, pki.ErrAlreadyEnrolled), errors.Is(err, enrol.ErrRefused):
		return hostapi.ErrCertificateMismatch
	default:
		return nil
	}
}

// message is what gRPC says, without how it says it.
func message(err error) string {
	if st, ok := status.FromError(err); ok {
		return st.Message()
	}
	return err.Error()
}

// methodName returns the last part of a method's full name.
func methodName(full string) string { return path.Base(full) }
