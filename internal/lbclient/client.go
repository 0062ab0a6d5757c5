package lbclient

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbpb"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// How long a call may take that has no deadline of its own.
const (
	helloTimeout = 5 * time.Second
	// applyTimeout leaves the VM time to put a plan in force, fail, and put the one
	// before it back.
	applyTimeout = 75 * time.Second
	enrolTimeout = 15 * time.Second
)

// Target is a load-balancer VM.
type Target struct {
	// Address is what is dialled, with the port.
	Address string
	// Agent is the VM's name, certified addresses and pin.
	Agent pki.AgentRef
}

// Client talks to one load-balancer VM. It dials when it is first used and
// again whenever the connection breaks. It is safe for concurrent use.
type Client struct {
	conn   *enrol.Conn
	remote lbpb.LoadBalancerAgentClient
	name   string
}

// Dial returns a client for target, which must be enrolled.
func Dial(target Target, manager *pki.ManagerIdentity, opts ...grpc.DialOption) (*Client, error) {
	large := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(lbapi.MaxMessage))
	conn, err := enrol.Connect(target.Address, manager.ClientConfig(target.Agent), append([]grpc.DialOption{large}, opts...)...)
	if err != nil {
		return nil, lbapi.Errorf(lbapi.Unreachable, "dial load balancer %s: %w", target.Agent.Name, err)
	}
	return &Client{conn: conn, remote: lbpb.NewLoadBalancerAgentClient(conn), name: target.Agent.Name}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Hello asks who the VM is, and fails where it speaks no protocol that this code
// does.
func (c *Client) Hello(ctx context.Context, version string) (lbapi.Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	resp, err := c.remote.Hello(ctx, &lbpb.HelloRequest{Version: version, Protocols: lbapi.Protocols()})
	if err != nil {
		return lbapi.Hello{}, c.typed("greet", err)
	}
	hello := lbapi.Hello{Name: resp.GetName(), Version: resp.GetVersion(), Protocols: resp.GetProtocols()}
	if _, ok := lbapi.CommonProtocol(hello.Protocols); !ok {
		return hello, lbapi.Errorf(lbapi.Incompatible, "load balancer %s of version %s speaks protocols %v, this manager %v",
			c.name, hello.Version, hello.Protocols, lbapi.Protocols())
	}
	return hello, nil
}

// Apply puts the plan in force and returns the status after it. A plan with
// faults is not even sent.
func (c *Client) Apply(ctx context.Context, plan lbapi.Plan) (lbapi.Status, error) {
	if faults := lbapi.Validate(plan); len(faults) > 0 {
		return lbapi.Status{}, lbapi.InvalidPlanError(faults)
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	resp, err := c.remote.Apply(ctx, &lbpb.ApplyRequest{Plan: lbapi.PlanToProto(plan)})
	if err != nil {
		return lbapi.Status{}, c.typed("apply plan to", err)
	}
	return lbapi.StatusFromProto(resp.GetStatus()), nil
}

// Watch calls observe with the VM's status now and whenever it has changed. It
// returns when ctx ends or the connection breaks; status is then unknown until
// the next Watch.
func (c *Client) Watch(ctx context.Context, observe func(lbapi.Status)) error {
	stream, err := c.remote.WatchStatus(ctx, &lbpb.WatchStatusRequest{})
	if err != nil {
		return c.typed("watch", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return c.typed("watch", err)
		}
		observe(lbapi.StatusFromProto(resp.GetStatus()))
	}
}

func (c *Client) typed(doing string, err error) error {
	return typed(doing, c.name, c.conn.Cause(err))
}
