package hostapi

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// Keys by which the logs of manager and agents speak of the same things, so that
// one VM, or one request, can be followed through all of them.
const (
	// LogVMID is the ID of a VM.
	LogVMID = "vmID"
	// LogRequestID is what ties the work of an agent to what asked for it. It is what
	// controller-runtime calls the ID of a reconcile.
	LogRequestID = "reconcileID"
)

// requestIDHeader carries the ID of a request to an agent. It serves logs alone:
// nothing is decided by it.
const requestIDHeader = "capstan-request-id"

// maxRequestID is the longest ID that an agent takes over into its log.
const maxRequestID = 64

type requestIDKey struct{}

// WithRequestID returns a context whose calls bear the ID of what they are made
// for.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the ID of what a call is made for, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// ToAgent returns a context that takes the ID of the request over the wire.
func ToAgent(ctx context.Context) context.Context {
	if id := RequestID(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, requestIDHeader, id)
	}
	return ctx
}

// FromManager returns a context with the ID that came over the wire.
func FromManager(ctx context.Context) context.Context {
	ids := metadata.ValueFromIncomingContext(ctx, requestIDHeader)
	if len(ids) != 1 || len(ids[0]) > maxRequestID {
		return ctx
	}
	return WithRequestID(ctx, ids[0])
}
