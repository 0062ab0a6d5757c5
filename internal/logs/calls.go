package logs

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// HostCalls logs every call of a host agent, as internal/hostclient tells of
// them, to the log of whoever calls.
type HostCalls struct{}

// CallBegins returns who is to be told of the end of the call.
func (HostCalls) CallBegins(ctx context.Context, host, method string) func(code codes.Code, err error) {
	log := ctrllog.FromContext(ctx).V(1)
	if !log.Enabled() {
		return func(codes.Code, error) {}
	}
	began := time.Now()
	return func(code codes.Code, err error) {
		log = log.WithValues("host", host, "method", method, "duration", time.Since(began).String(), "code", code.String())
		if err != nil {
			log = log.WithValues("class", string(hostapi.ClassOf(err)), "error", err.Error())
		}
		log.Info("Host called")
	}
}

// HostGone has nothing to log.
func (HostCalls) HostGone(string) {}
