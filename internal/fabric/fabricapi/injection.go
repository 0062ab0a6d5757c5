package fabricapi

import (
	"context"
	"time"
)

// Effect is what an injection does to a call.
type Effect string

// Effects of an injection.
const (
	// Fails: the call fails.
	Fails Effect = ""
	// HeldBack: the answer comes late.
	HeldBack Effect = "HeldBack"
	// Repeated: the call arrives twice, and the second answer is told.
	Repeated Effect = "Repeated"
	// VMMoved: the VM that the call is about moves to another node of its failover
	// cluster. It is no effect where there is none to move to.
	VMMoved Effect = "VMMoved"
)

// Injection does something to calls of a host. The first that matches is used.
type Injection struct {
	// ID is how EndInjection knows it. Without one it is forgotten once it is spent.
	ID string `json:"id,omitempty"`
	// Host and Op select calls; empty selects all.
	Host string `json:"host,omitempty"`
	Op   string `json:"op,omitempty"`
	// Skip lets that many matching calls through first; Times calls are hit then, 0
	// for one.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// Effect is what is done to them.
	Effect Effect `json:"effect,omitempty"`
	// AfterEffect lets the call do its work before it fails, or before the VM moves.
	AfterEffect bool `json:"afterEffect,omitempty"`
	// Code is what a call that fails is answered; empty cuts the connection with no
	// answer.
	Code Code `json:"code,omitempty"`
	// Delay is how long an answer is held back.
	Delay time.Duration `json:"delay,omitempty"`
}

// InjectionRef names an injection.
type InjectionRef struct {
	ID string `json:"id"`
}

// EndInjectionResponse tells what came of an injection.
type EndInjectionResponse struct {
	Hits int `json:"hits"`
}

// Inject does something to calls to come.
func (c *AdminClient) Inject(ctx context.Context, injection Injection) error {
	return c.call(ctx, "Inject", injection, &None{})
}

// EndInjection ends an injection, spent or not, and returns how many calls it hit.
func (c *AdminClient) EndInjection(ctx context.Context, id string) (hits int, err error) {
	out, err := invoke[EndInjectionResponse](ctx, &c.caller, "EndInjection", InjectionRef{ID: id})
	return out.Hits, err
}

// ClearInjections ends all of them.
func (c *AdminClient) ClearInjections(ctx context.Context) error {
	return c.call(ctx, "ClearInjections", None{}, &None{})
}
