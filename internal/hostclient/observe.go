package hostclient

import (
	"context"

	"google.golang.org/grpc/codes"
)

// Observer is told of calls of hosts. It must be safe for concurrent use.
type Observer interface {
	// CallBegins is told of a call of the agent of host. What it returns is told how
	// the call ended: by gRPC's code, and by the typed error, nil if it went well.
	CallBegins(ctx context.Context, host, method string) (ended func(code codes.Code, err error))
	// HostGone is told that a host is not called any more.
	HostGone(host string)
}

// observers are told one after the other.
type observers []Observer

func (o observers) callBegins(ctx context.Context, host, method string) func(codes.Code, error) {
	ended := make([]func(codes.Code, error), 0, len(o))
	for _, observer := range o {
		ended = append(ended, observer.CallBegins(ctx, host, method))
	}
	return func(code codes.Code, err error) {
		for _, end := range ended {
			end(code, err)
		}
	}
}

func (o observers) hostGone(host string) {
	for _, observer := range o {
		observer.HostGone(host)
	}
}
