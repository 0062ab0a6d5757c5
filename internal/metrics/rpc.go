package metrics

import (
	"context"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// HostCalls observes the calls of host agents, as internal/hostclient tells of
// them.
type HostCalls struct{ set *set }

// ObserveHostCalls returns what counts the calls of host agents.
func ObserveHostCalls() HostCalls { return HostCalls{set: standard} }

// CallBegins counts a call, and returns who is to be told of its end.
func (h HostCalls) CallBegins(_ context.Context, host, method string) func(code codes.Code, err error) {
	s, began := h.set, h.set.now()
	s.hostInFlight.Inc()
	return func(code codes.Code, err error) {
		s.hostInFlight.Dec()
		s.hostDuration.WithLabelValues(method, code.String()).Observe(s.now().Sub(began).Seconds())
		if err != nil {
			s.hostErrors.WithLabelValues(host, string(hostapi.ClassOf(err))).Inc()
		}
	}
}

// HostGone drops what was counted for a host.
func (h HostCalls) HostGone(host string) {
	h.set.hostErrors.DeletePartialMatch(map[string]string{labelHost: host})
}

// ObserveLoadBalancerCalls returns an option that counts the calls of a
// load-balancer VM.
func ObserveLoadBalancerCalls() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(standard.loadBalancerCall)
}

func (s *set) loadBalancerCall(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	began := s.now()
	s.loadBalancerInFlight.Inc()
	err := invoke(ctx, method, req, reply, conn, opts...)
	s.loadBalancerInFlight.Dec()
	s.loadBalancerDuration.WithLabelValues(path.Base(method), status.Code(err).String()).Observe(s.now().Sub(began).Seconds())
	return err
}
