package lbagent

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbpb"
)

// Serve answers the manager on the listener until ctx ends. When it returns, no
// plan is being put in force.
func (a *Agent) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(append(enrol.ServerOptions(a.opts.Identity),
		grpc.MaxRecvMsgSize(lbapi.MaxMessage), grpc.WaitForHandlers(true))...)
	enrol.Register(server, a.opts.Identity)
	lbpb.RegisterLoadBalancerAgentServer(server, &service{agent: a})

	retrying, stop := context.WithCancel(ctx)
	retried := make(chan struct{})
	go func() {
		defer close(retried)
		a.retry(retrying)
	}()
	defer func() {
		stop()
		<-retried
	}()

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		server.Stop()
		err = <-served
	}
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve load-balancer agent %s: %w", a.opts.Name, err)
	}
	return nil
}

type service struct {
	lbpb.UnimplementedLoadBalancerAgentServer
	agent *Agent
}

func (s *service) Hello(context.Context, *lbpb.HelloRequest) (*lbpb.HelloResponse, error) {
	return &lbpb.HelloResponse{Name: s.agent.opts.Name, Version: s.agent.opts.Version, Protocols: lbapi.Protocols()}, nil
}

func (s *service) Apply(ctx context.Context, req *lbpb.ApplyRequest) (*lbpb.ApplyResponse, error) {
	status, err := s.agent.Apply(ctx, lbapi.PlanFromProto(req.GetPlan()))
	if err != nil {
		return nil, lbapi.ErrorToStatus(err)
	}
	return &lbpb.ApplyResponse{Status: lbapi.StatusToProto(status)}, nil
}

func (s *service) WatchStatus(_ *lbpb.WatchStatusRequest, stream grpc.ServerStreamingServer[lbpb.WatchStatusResponse]) error {
	return s.agent.Watch(stream.Context(), func(status lbapi.Status) error {
		return stream.Send(&lbpb.WatchStatusResponse{Status: lbapi.StatusToProto(status)})
	})
}
