package enrol

import (
	"context"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol/enrolpb"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// operations are the methods that are not Ordinary.
var operations = map[string]pki.Operation{
	enrolpb.Enrolment_Enrol_FullMethodName:   pki.Enrolling,
	enrolpb.Enrolment_Install_FullMethodName: pki.Enrolling,
	enrolpb.Enrolment_Renew_FullMethodName:   pki.Renewing,
}

// ServerOptions returns what a gRPC server of an agent must be made with: mutual
// TLS, a judgement of the caller at every call of every service, and an end to
// connections that outlive their certificates.
func ServerOptions(agent *pki.Agent) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(agent.ServerConfig())),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := authorize(ctx, agent, info.FullMethod); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := authorize(stream.Context(), agent, info.FullMethod); err != nil {
				return err
			}
			return handler(srv, stream)
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      pki.MaxConnectionAge,
			MaxConnectionAgeGrace: time.Minute,
			Time:                  time.Minute,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingInterval / 2, PermitWithoutStream: true}),
	}
}

// Register adds the enrolment service to a server made with ServerOptions.
func Register(server grpc.ServiceRegistrar, agent *pki.Agent) {
	enrolpb.RegisterEnrolmentServer(server, &service{agent: agent})
}

func authorize(ctx context.Context, agent *pki.Agent, method string) error {
	state, err := stateOf(ctx)
	if err != nil {
		return err
	}
	caller, err := agent.PeerOf(state)
	if err != nil {
		return errorToStatus(err)
	}
	return errorToStatus(caller.Authorize(operations[method]))
}

func stateOf(ctx context.Context) (tls.ConnectionState, error) {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			return info.State, nil
		}
	}
	return tls.ConnectionState{}, status.Error(codes.Unauthenticated, "the connection is not TLS")
}

type service struct {
	enrolpb.UnimplementedEnrolmentServer
	agent *pki.Agent
}

func (s *service) Enrol(ctx context.Context, req *enrolpb.EnrolRequest) (*enrolpb.EnrolResponse, error) {
	state, err := stateOf(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := s.agent.Enrol(state, pki.EnrolRequest{
		TokenID: req.GetTokenId(), CACertificate: req.GetCaCertificate(), ManagerProof: req.GetManagerProof(),
	})
	if err != nil {
		return nil, errorToStatus(err)
	}
	return &enrolpb.EnrolResponse{AgentProof: resp.AgentProof, AlreadyEnrolled: resp.AlreadyEnrolled}, nil
}

func (s *service) Install(ctx context.Context, req *enrolpb.InstallRequest) (*enrolpb.InstallResponse, error) {
	state, err := stateOf(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.agent.Install(state, pki.InstallRequest{
		TokenID: req.GetTokenId(), CACertificate: req.GetCaCertificate(),
		Certificate: req.GetCertificate(), ManagerProof: req.GetManagerProof(),
	}); err != nil {
		return nil, errorToStatus(err)
	}
	return &enrolpb.InstallResponse{}, nil
}

func (s *service) Renew(ctx context.Context, req *enrolpb.RenewRequest) (*enrolpb.RenewResponse, error) {
	state, err := stateOf(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.agent.Renew(state, pki.RenewRequest{CACertificate: req.GetCaCertificate(), Certificate: req.GetCertificate()}); err != nil {
		return nil, errorToStatus(err)
	}
	return &enrolpb.RenewResponse{}, nil
}
