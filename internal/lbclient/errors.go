package lbclient

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// trustClasses are the classes of trust failures, the more telling ones first: an
// error may be several of them.
var trustClasses = []struct {
	err   error
	class lbapi.Class
}{
	{pki.ErrRevoked, lbapi.Untrusted},
	{pki.ErrPin, lbapi.Untrusted},
	{pki.ErrAlreadyEnrolled, lbapi.Untrusted},
	{pki.ErrNotEnrolled, lbapi.NotEnrolled},
	{pki.ErrDates, lbapi.Expired},
	{pki.ErrTooManyGuesses, lbapi.Transient},
	{pki.ErrProof, lbapi.Untrusted},
	{pki.ErrNoToken, lbapi.Untrusted},
	{pki.ErrUntrusted, lbapi.Untrusted},
	{pki.ErrNotAllowed, lbapi.Untrusted},
	{enrol.ErrRefused, lbapi.Untrusted},
}

// typed returns err as an *lbapi.Error that says what was being done to which VM,
// or nil.
func typed(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	result := &lbapi.Error{Class: lbapi.Transient, Message: fmt.Sprintf("%s load balancer %s: %s", doing, name, err), Err: err}
	for _, t := range trustClasses {
		if errors.Is(err, t.err) {
			result.Class = t.class
			return result
		}
	}
	var op *net.OpError
	switch {
	case errors.As(err, &op), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		result.Class = lbapi.Unreachable
	default:
		var remote *lbapi.Error
		if errors.As(lbapi.ErrorFromStatus(err), &remote) {
			result.Class, result.Faults = remote.Class, remote.Faults
			result.Message = fmt.Sprintf("%s load balancer %s: %s", doing, name, remote.Message)
		}
	}
	return result
}

// IsTimeout tells that a call took longer than its caller waits, which says nothing of
// whoever was called.
func IsTimeout(err error) bool {
	var coded interface{ GRPCStatus() *status.Status }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &coded) && coded.GRPCStatus().Code() == codes.DeadlineExceeded
}

// IsAnswer tells that an error shows that the VM was reached and said something, whatever
// is wrong with that: it may not even have been readable. Who is not believed, or breaks
// off, has not answered.
func IsAnswer(err error) bool {
	switch lbapi.ClassOf(err) {
	case lbapi.Incompatible, lbapi.TooLarge:
		return true
	case lbapi.Unreachable, lbapi.Untrusted, lbapi.NotEnrolled, lbapi.Expired:
		return false
	case lbapi.InvalidPlan, lbapi.Stale, lbapi.Conflict, lbapi.ApplyFailed, lbapi.Transient:
	}
	var coded interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &coded) {
		return false
	}
	switch coded.GRPCStatus().Code() {
	case codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Unauthenticated, codes.PermissionDenied:
		return false
	default:
		return true
	}
}
