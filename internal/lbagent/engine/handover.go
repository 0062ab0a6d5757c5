package engine

import (
	"context"
	"net/netip"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Gate holds back whoever connects anew to a VIP. It is never closed for long, whatever
// becomes of who closed it.
type Gate interface {
	Close(ctx context.Context, vips []netip.Addr) error
	Open(ctx context.Context) error
}

const (
	// requestTime is what a request may take. What has lasted for longer may go on for
	// hours, and is not waited for.
	requestTime = 2 * time.Second
	// longestWait is how long requests are waited for. Who was held back at the first
	// moment tries again after a second.
	longestWait = time.Second
	waitPoll    = 50 * time.Millisecond
)

// quieten has the requests come to their end that clients have under way, if the plan
// takes all VIPs away and this machine has one: the machine that is to have them next
// knows of no connection that was made here. Nobody else can begin anything until open is
// called.
func (e *Engine) quieten(ctx context.Context, plan lbapi.Plan) (open func()) {
	leaving := e.leaving(plan)
	if len(leaving) == 0 {
		return func() {}
	}
	if err := e.opts.Gate.Close(ctx, leaving); err != nil {
		e.opts.Log.Warn("VIPs are handed over while requests are under way", "error", err)
		return func() {}
	}
	began := e.opts.Clock.Now()
	for {
		elapsed := e.opts.Clock.Now().Sub(began)
		young, err := e.opts.Balancer.Young(ctx, requestTime+elapsed)
		if err != nil || young == 0 || elapsed >= longestWait {
			e.opts.Log.Info("handing VIPs over", "waitedSeconds", elapsed.Seconds(), "requestsLeft", young, "error", err)
			break
		}
		select {
		case <-ctx.Done():
		case <-e.opts.Clock.After(waitPoll):
		}
	}
	return func() {
		if err := e.opts.Gate.Open(context.WithoutCancel(ctx)); err != nil {
			e.opts.Log.Warn("the gate to VIPs that were handed over opens by itself", "error", err)
		}
	}
}

// leaving are the VIPs that this machine has and hands over.
func (e *Engine) leaving(next lbapi.Plan) []netip.Addr {
	if e.opts.Gate == nil || len(next.VIPs) > 0 {
		return nil
	}
	held, err := e.opts.Held()
	if err != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var leaving []netip.Addr
	for _, v := range e.plan.VIPs {
		address, err := netip.ParseAddr(v.Address)
		if _, here := held[address]; err == nil && here {
			leaving = append(leaving, address)
		}
	}
	return leaving
}
