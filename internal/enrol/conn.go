package enrol

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/capstan-k8s/capstan/internal/pki"
)

// Bounds on how long a manager takes to notice that an agent has gone, and that
// it is back.
const (
	pingInterval   = 10 * time.Second
	pingTimeout    = 5 * time.Second
	connectTimeout = 5 * time.Second
	maxBackoff     = 5 * time.Second
	reasonTimeout  = time.Second
)

// Conn is a connection from the manager to an agent that is made anew whenever
// it breaks.
type Conn struct {
	*grpc.ClientConn
	creds *judgedTLS
}

// Connect returns a connection to the agent at address, judged by config, which
// is ManagerIdentity's ClientConfig. It does not wait: the first call dials.
func Connect(address string, config *tls.Config, opts ...grpc.DialOption) (*Conn, error) {
	creds := &judgedTLS{
		TransportCredentials: credentials.NewTLS(config), last: new(atomic.Pointer[error]), present: new(atomic.Pointer[judgedConn]),
	}
	delays := backoff.DefaultConfig
	delays.BaseDelay, delays.MaxDelay = 200*time.Millisecond, maxBackoff
	conn, err := grpc.NewClient("passthrough:///"+address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(creds.dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout, PermitWithoutStream: true}),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to agent at %s: %w", address, err)
	}
	return &Conn{ClientConn: conn, creds: creds}, nil
}

// Cause returns the error of a call so that errors.Is finds why trust failed:
// an error of internal/pki, from either side, or ErrRefused. gRPC itself keeps
// no more than the text of a failed handshake. If the agent has refused the call for the
// dates of the manager's certificate, the connection is given up: it would go on showing
// the one it began with, and the next one shows what the manager has by then.
func (c *Conn) Cause(err error) error {
	if err == nil {
		return nil
	}
	if refused := ErrorFromStatus(err); refused != err { //nolint:errorlint // identity is what is asked
		if present := c.creds.present.Load(); present != nil && errors.Is(refused, pki.ErrDates) {
			// Whoever reads from it learns of it, and that is all that is wanted.
			_ = present.Close()
		}
		return refused
	}
	if last := c.creds.last.Load(); last != nil {
		return &handshakeError{error: err, cause: *last}
	}
	return err
}

// handshakeError reads as gRPC's error, which has the cause's text.
type handshakeError struct {
	error
	cause error
}

func (e *handshakeError) Unwrap() []error { return []error{e.error, e.cause} }

// judgedTLS remembers why the last handshake failed, and what came of the last that did
// not.
type judgedTLS struct {
	credentials.TransportCredentials
	last    *atomic.Pointer[error]
	present *atomic.Pointer[judgedConn]
}

// dial forgets an earlier judgement when nobody answers: silence is not a wrong
// certificate.
func (t *judgedTLS) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		t.last.Store(nil)
	}
	return conn, err
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *judgedTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		t.last.Store(&err)
		return nil, nil, err
	}
	judged := newJudgedConn(conn, t.last)
	t.present.Store(judged)
	return judged, info, nil
}

// Clone implements credentials.TransportCredentials.
func (t *judgedTLS) Clone() credentials.TransportCredentials {
	return &judgedTLS{TransportCredentials: t.TransportCredentials.Clone(), last: t.last, present: t.present}
}

// judgedConn notices the other side's judgement: in TLS 1.3 it comes only after
// this side's handshake is over.
type judgedConn struct {
	net.Conn
	last *atomic.Pointer[error]
	// ended is closed when there is nothing more to read.
	ended func()
	over  <-chan struct{}
}

func newJudgedConn(conn net.Conn, last *atomic.Pointer[error]) *judgedConn {
	over := make(chan struct{})
	return &judgedConn{Conn: conn, last: last, over: over, ended: sync.OnceFunc(func() { close(over) })}
}

// Read implements net.Conn.
func (c *judgedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.last.Store(nil)
	}
	if err == nil {
		return n, nil
	}
	defer c.ended()
	if isRefusal(err) {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
		c.last.Store(&err)
	}
	return n, err
}

// Write implements net.Conn. Whoever refuses closes the connection as well, and a
// write may find that out first: the reader, who has the reason, goes before.
func (c *judgedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		timer := time.NewTimer(reasonTimeout)
		defer timer.Stop()
		select {
		case <-c.over:
		case <-timer.C:
		}
	}
	return n, err
}

// isRefusal tells whether err is an alert of the other side, which crypto/tls
// marks by the operation of a net.OpError.
func isRefusal(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
