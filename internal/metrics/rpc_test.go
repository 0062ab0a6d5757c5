package metrics

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestCallsOfHostsAreTimedAndTheirErrorsCountedByHost(t *testing.T) {
	b := newBench(t)
	calls := HostCalls{set: b.set}
	call := func(host string, code codes.Code, err error) {
		ended := calls.CallBegins(t.Context(), host, "GetVM")
		b.Expect(b.values("capstan_host_rpc_in_flight")).To(HaveKeyWithValue("", 1.0))
		b.pass(2 * time.Second)
		ended(code, err)
	}
	call("hv1", codes.OK, nil)
	call("hv1", codes.NotFound, hostapi.Errorf(hostapi.NotFound, "GetVM", "", "no"))
	call("hv2", codes.Unavailable, hostapi.Errorf(hostapi.HostUnreachable, "GetVM", "", "no"))
	call("hv2", codes.Unavailable, hostapi.Errorf(hostapi.HostUnreachable, "GetVM", "", "no"))
	b.Expect(b.values("capstan_host_rpc_in_flight")).To(HaveKeyWithValue("", 0.0))
	b.Expect(b.values("capstan_host_rpc_duration_seconds")).To(Equal(map[string]float64{"OK GetVM": 1, "NotFound GetVM": 1, "Unavailable GetVM": 2}))
	b.Expect(b.values("capstan_host_rpc_errors_total")).To(Equal(map[string]float64{"NotFound hv1": 1, "HostUnreachable hv2": 2}))

	calls.HostGone("hv2")
	b.Expect(b.values("capstan_host_rpc_errors_total")).To(Equal(map[string]float64{"NotFound hv1": 1}))
}

func TestCallsOfLoadBalancersAreTimed(t *testing.T) {
	b := newBench(t)
	answer := status.Error(codes.FailedPrecondition, "stale")
	err := b.set.loadBalancerCall(t.Context(), "/capstan.lb.v1.LoadBalancerAgent/Apply", nil, nil, nil,
		func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			b.Expect(b.values("capstan_loadbalancer_rpc_in_flight")).To(HaveKeyWithValue("", 1.0))
			b.pass(time.Second)
			return answer
		})
	b.Expect(err).To(BeIdenticalTo(answer))
	b.Expect(b.values("capstan_loadbalancer_rpc_in_flight")).To(HaveKeyWithValue("", 0.0))
	b.Expect(b.values("capstan_loadbalancer_rpc_duration_seconds")).To(Equal(map[string]float64{"FailedPrecondition Apply": 1}))
}
