package hostclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// maxMessage bounds an answer: a list of all VMs of a failover cluster, with
// their consoles, is the largest.
const maxMessage = 64 << 20

// Target is one agent.
type Target struct {
	// Address is where it listens, host:port.
	Address string
	// Name is what its certificate says.
	Name string
	// Pin is of its key, as Enrol returned it.
	Pin pki.Pin
}

// Client calls one agent. It dials when it is first used, and again whenever
// the connection breaks. It is safe for concurrent use.
type Client struct {
	target  Target
	manager *pki.ManagerIdentity
	conn    *enrol.Conn
	rpc     hostpb.HostAgentClient
	trust   trust
	// host is what observers call the target.
	host      string
	observers observers

	mu      sync.Mutex
	calls   int
	retired bool
	// ended is called once no call is under way any more, if it is there.
	ended func()
}

var _ hostapi.Agent = (*Client)(nil)

// errForgotten is the cause of calls on a Client that was closed.
var errForgotten = errors.New("the connection was given up")

// Dial returns a client of an enrolled agent. It does not wait for the agent to
// answer.
func Dial(target Target, manager *pki.ManagerIdentity) (*Client, error) {
	return dial(target.Name, target, manager, nil)
}

func dial(host string, target Target, manager *pki.ManagerIdentity, observers observers) (*Client, error) {
	c := &Client{target: target, manager: manager, host: host, observers: observers}
	conn, err := enrol.Connect(target.Address, manager.ClientConfig(target.ref()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithChainUnaryInterceptor(c.intercept),
	)
	if err != nil {
		return nil, err
	}
	c.conn, c.rpc = conn, hostpb.NewHostAgentClient(conn)
	return c, nil
}

// ref is the target as internal/pki knows it.
func (t Target) ref() pki.AgentRef {
	return pki.AgentRef{Name: t.Name, Hosts: certifiedHosts(t.Address), Pin: t.Pin}
}

// Target returns whom the client calls.
func (c *Client) Target() Target { return c.target }

// Connected tells whether there is a connection now. A connection is made by
// calls, so one that was not used yet, or not for long, is not there and need
// not be.
func (c *Client) Connected() bool { return c.conn.GetState() == connectivity.Ready }

// Close gives the connection up once the calls under way have ended.
func (c *Client) Close() { c.retire(nil) }

// retire gives the connection up, and calls ended after that.
func (c *Client) retire(ended func()) {
	c.mu.Lock()
	last := !c.retired && c.calls == 0
	if !c.retired {
		c.ended = ended
	}
	c.retired = true
	c.mu.Unlock()
	if last {
		c.disconnect()
	}
}

func (c *Client) disconnect() {
	// It fails only where it was done before.
	_ = c.conn.Close()
	if c.ended != nil {
		c.ended()
	}
}

func (c *Client) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return errForgotten
	}
	c.calls++
	return nil
}

func (c *Client) end() {
	c.mu.Lock()
	c.calls--
	last := c.retired && c.calls == 0
	c.mu.Unlock()
	if last {
		c.disconnect()
	}
}

// intercept gives every call its deadline and every failure its type, and tells
// of both.
func (c *Client) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	op := methodName(method)
	if err := c.begin(); err != nil {
		return c.fail(op, err)
	}
	defer c.end()
	ended := c.observers.callBegins(ctx, c.host, op)
	ctx, cancel := context.WithTimeout(hostapi.ToAgent(ctx), deadline(op))
	defer cancel()
	var agent peer.Peer
	err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Peer(&agent))...)
	c.trust.saw(agent)
	failure := c.fail(op, c.conn.Cause(err))
	ended(status.Code(err), failure)
	return failure
}

// deadlines are per method, for those that may take longer than usualDeadline.
// The agent answers within about a second whatever the work takes; what is
// bounded here is reading what a host has.
var deadlines = map[string]time.Duration{
	"Inventory": 20 * time.Second,
	"ListVMs":   20 * time.Second,
	"Bury":      30 * time.Second,
}

const usualDeadline = 10 * time.Second

func deadline(op string) time.Duration {
	if d, ok := deadlines[op]; ok {
		return d
	}
	return usualDeadline
}

// fail returns the typed error of a failed call, and nil for nil.
func (c *Client) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if reason := reasonOf(err); reason != nil || errors.Is(err, errForgotten) {
		return c.unreachable(op, &reasoned{error: err, reason: reason})
	}
	typed := hostapi.AsError(op, hostapi.ErrorFromStatus(op, err))
	if typed.Err == nil {
		// The agent's own words.
		return typed
	}
	typed.Message = c.describe(typed.Message)
	return typed
}

func (c *Client) unreachable(op string, err error) error {
	return &hostapi.Error{Class: hostapi.HostUnreachable, Op: op, Message: c.describe(message(err)), Err: err}
}

func (c *Client) describe(message string) string {
	return fmt.Sprintf("agent %s at %s: %s", c.target.Name, c.target.Address, message)
}
