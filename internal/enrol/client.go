package enrol

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/capstan-k8s/capstan/internal/enrol/enrolpb"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Enrol makes the agent at address, which waits with token, the manager's.
// record is called with the agent's pin after the agent has proven the token and
// before it is bound: if it fails, or the process dies, the agent is still free
// or known. Enrolling an agent that is already ours does no harm.
func Enrol(ctx context.Context, address string, manager *pki.ManagerIdentity, agent pki.AgentRef, token pki.Token, record func(context.Context, pki.Pin) error) error {
	return once(ctx, address, manager.EnrolConfig(agent), func(client enrolpb.EnrolmentClient, state tls.ConnectionState) error {
		enrolment, err := manager.Enrol(state, agent, token)
		if err != nil {
			return err
		}
		req := enrolment.Request()
		resp, err := client.Enrol(ctx, &enrolpb.EnrolRequest{TokenId: req.TokenID, CaCertificate: req.CACertificate, ManagerProof: req.ManagerProof})
		if err != nil {
			return fmt.Errorf("enrol agent %s: %w", agent.Name, ErrorFromStatus(err))
		}
		pin, err := enrolment.Accept(pki.EnrolResponse{AgentProof: resp.GetAgentProof(), AlreadyEnrolled: resp.GetAlreadyEnrolled()})
		if err != nil {
			return err
		}
		if err := record(ctx, pin); err != nil {
			return fmt.Errorf("record pin of agent %s: %w", agent.Name, err)
		}
		install, err := enrolment.Certify()
		if err != nil {
			return err
		}
		if _, err := client.Install(ctx, &enrolpb.InstallRequest{
			TokenId: install.TokenID, CaCertificate: install.CACertificate,
			Certificate: install.Certificate, ManagerProof: install.ManagerProof,
		}); err != nil {
			return fmt.Errorf("install certificate of agent %s: %w", agent.Name, ErrorFromStatus(err))
		}
		return nil
	})
}

// Renew gives the agent at address new dates, whatever its own are: the pinned
// key is all it must have.
func Renew(ctx context.Context, address string, manager *pki.ManagerIdentity, agent pki.AgentRef) error {
	return once(ctx, address, manager.RenewConfig(agent), func(client enrolpb.EnrolmentClient, state tls.ConnectionState) error {
		req, err := manager.Renewal(state, agent)
		if err != nil {
			return err
		}
		if _, err := client.Renew(ctx, &enrolpb.RenewRequest{CaCertificate: req.CACertificate, Certificate: req.Certificate}); err != nil {
			return fmt.Errorf("renew certificate of agent %s: %w", agent.Name, ErrorFromStatus(err))
		}
		return nil
	})
}

// once runs do over exactly one TLS connection. Proofs speak about one
// connection, so gRPC, which would silently make another, is handed one that is
// already made.
func once(ctx context.Context, address string, config *tls.Config, do func(enrolpb.EnrolmentClient, tls.ConnectionState) error) error {
	dialed, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dial agent at %s: %w", address, err)
	}
	secured, ok := dialed.(*tls.Conn)
	if !ok {
		return errors.Join(fmt.Errorf("dial agent at %s: not a TLS connection", address), dialed.Close())
	}
	var last atomic.Pointer[error]
	unused := make(chan net.Conn, 1)
	unused <- newJudgedConn(secured, &last)
	client, err := grpc.NewClient("passthrough:///"+address,
		// The connection is TLS already; gRPC must not wrap it again.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case conn := <-unused:
				return conn, nil
			default:
				return nil, errors.New("the connection of this exchange is gone")
			}
		}))
	if err != nil {
		return errors.Join(fmt.Errorf("dial agent at %s: %w", address, err), secured.Close())
	}
	err = do(enrolpb.NewEnrolmentClient(client), secured.ConnectionState())
	if cause := last.Load(); err != nil && cause != nil {
		err = &handshakeError{error: err, cause: *cause}
	}
	// Closing the client closes the connection, unless it was never asked for.
	_ = client.Close()
	_ = secured.Close()
	return err
}
