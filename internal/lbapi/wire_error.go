package lbapi

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/lbapi/lbpb"
)

// codeOf is the gRPC code that a class travels under. The class itself is in the
// details; the code is for those who know nothing of them.
var codeOf = map[Class]codes.Code{
	InvalidPlan:  codes.InvalidArgument,
	Stale:        codes.FailedPrecondition,
	Conflict:     codes.FailedPrecondition,
	ApplyFailed:  codes.Aborted,
	NotEnrolled:  codes.Unauthenticated,
	Untrusted:    codes.Unauthenticated,
	Expired:      codes.Unauthenticated,
	Incompatible: codes.Unimplemented,
	Unreachable:  codes.Unavailable,
	TooLarge:     codes.ResourceExhausted,
	Transient:    codes.Unknown,
}

// ErrorToStatus returns err as a gRPC status that carries its class and faults.
func ErrorToStatus(err error) error {
	if err == nil {
		return nil
	}
	// Proto strings are UTF-8; a driver's or kernel's message need not be.
	e := &lbpb.ErrorDetail{Class: string(ClassOf(err)), Message: strings.ToValidUTF8(err.Error(), "?")}
	var typed *Error
	if errors.As(err, &typed) {
		e.Faults = each(typed.Faults, func(f Fault) *lbpb.Fault { return &lbpb.Fault{Field: f.Field, Message: f.Message} })
	}
	s := status.New(codeOf[ClassOf(err)], e.GetMessage())
	if detailed, detailErr := s.WithDetails(e); detailErr == nil {
		s = detailed
	}
	return s.Err()
}

// ErrorFromStatus returns the *Error that a gRPC call ended with, or nil. Where the
// other side sent no class, the call never reached it, and the code tells why.
func ErrorFromStatus(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	for _, d := range s.Details() {
		e, ok := d.(*lbpb.ErrorDetail)
		if !ok {
			continue
		}
		class := Class(e.GetClass())
		if _, known := codeOf[class]; !known {
			class = Transient
		}
		return &Error{
			Class: class, Message: e.GetMessage(), Err: err,
			Faults: each(e.GetFaults(), func(f *lbpb.Fault) Fault { return Fault{Field: f.GetField(), Message: f.GetMessage()} }),
		}
	}
	class := Transient
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		class = Unreachable
	case codes.Unauthenticated, codes.PermissionDenied:
		class = Untrusted
	case codes.ResourceExhausted:
		class = TooLarge
	}
	return &Error{Class: class, Message: s.Message(), Err: err}
}
