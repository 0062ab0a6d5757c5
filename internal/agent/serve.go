package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

const (
	// finishAnswering is how long calls get to be answered at the end. None waits
	// for its work much longer than answerWithin.
	finishAnswering = 5 * time.Second
	// finishWorking is how long the driver gets to return once it is told to stop.
	finishWorking = 10 * time.Second
	// maxCalls bounds how many calls one connection has open at a time.
	maxCalls = 256
)

// Serve serves an agent and its enrolment on a listener until ctx ends, then
// finishes answering and leaves what is under way to the journal. It closes the
// agent and the listener.
func Serve(ctx context.Context, listener net.Listener, agent *Agent, identity *pki.Agent, log *slog.Logger) error {
	options := append(enrol.ServerOptions(identity),
		grpc.ChainUnaryInterceptor(recoverPanics(log), takeRequestID),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxCalls),
	)
	server := grpc.NewServer(options...)
	enrol.Register(server, identity)
	Register(server, agent)

	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		agent.Run(looking)
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
		log.Info("agent stops: it finishes answering and leaves the rest to the journal")
		stopGracefully(server)
	}
	stopLooking()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWorking)
	defer cancel()
	err = errors.Join(err, agent.Close(ending))
	<-looked
	return err
}

func stopGracefully(server *grpc.Server) {
	stopped := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(stopped)
	}()
	timeout := time.NewTimer(finishAnswering)
	defer timeout.Stop()
	select {
	case <-stopped:
	case <-timeout.C:
		server.Stop()
		<-stopped
	}
}

// takeRequestID takes over what the manager calls the request in its own log.
func takeRequestID(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return handler(hostapi.FromManager(ctx), req)
}

// recoverPanics keeps the agent alive for the other VMs when one call panics.
func recoverPanics(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("call panics", "method", info.FullMethod, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				resp, err = nil, status.Error(codes.Internal, "the agent failed in a way that its log tells")
			}
		}()
		return handler(ctx, req)
	}
}
