package hostapi

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

// statusCodes are what people and proxies see of a class. The class itself is
// read from the detail only: other parties make statuses with these codes too.
var statusCodes = map[Class]codes.Code{
	NotFound:        codes.NotFound,
	Conflict:        codes.FailedPrecondition,
	NotOwned:        codes.PermissionDenied,
	OutOfCapacity:   codes.ResourceExhausted,
	VolumeFaulted:   codes.FailedPrecondition,
	HostUnreachable: codes.Unavailable,
	Transient:       codes.Aborted,
	InvalidArgument: codes.InvalidArgument,
}

// ErrorToStatus returns err as the error of a gRPC method, with its class in a
// typed detail. It returns nil for nil.
func ErrorToStatus(op string, err error) error {
	if err == nil {
		return nil
	}
	typed := AsError(op, err)
	code, ok := statusCodes[typed.Class]
	if !ok {
		code = codes.Unknown
	}
	st, detailErr := status.New(code, text(typed.Message)).WithDetails(errorToProto(typed))
	if detailErr != nil {
		return status.Error(code, text(typed.Message))
	}
	return st.Err()
}

// ErrorFromStatus returns the typed error of a failed gRPC call. Only an agent
// speaks for its host: a status without the agent's detail is never taken for
// an observation, whatever its code.
func ErrorFromStatus(op string, err error) error {
	if err == nil {
		return nil
	}
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	st, ok := status.FromError(err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return &Error{Class: HostUnreachable, Op: op, Message: err.Error(), Err: err}
		}
		return AsError(op, err)
	}
	for _, detail := range st.Details() {
		if d, ok := detail.(*hostpb.ErrorDetail); ok {
			return errorFromProto(d)
		}
	}
	return &Error{Class: classOfBareCode(st.Code()), Op: op, Message: st.Message(), Err: err}
}

func classOfBareCode(code codes.Code) Class {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unauthenticated, codes.PermissionDenied:
		return HostUnreachable
	default:
		return Transient
	}
}

func errorToProto(e *Error) *hostpb.ErrorDetail {
	if e == nil {
		return nil
	}
	return &hostpb.ErrorDetail{Class: string(e.Class), Op: e.Op, Resource: text(e.Resource), Message: text(e.Message)}
}

func errorFromProto(d *hostpb.ErrorDetail) *Error {
	if d == nil {
		return nil
	}
	class := Class(d.GetClass())
	if _, known := statusCodes[class]; !known {
		class = Transient
	}
	return &Error{Class: class, Op: d.GetOp(), Resource: d.GetResource(), Message: d.GetMessage()}
}
