package loadbalancer

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// When an agent that could not be asked is asked again.
//
//	while its VM may still be booting   every 0.5 s, for the first 60 times
//	afterwards                          1 s, 2 s, 4 s, 8 s, then every 10 s
const (
	bootRetry  = 500 * time.Millisecond
	bootTries  = 60
	firstRetry = time.Second
	lastRetry  = 10 * time.Second
)

// agent is what is known of the agent of one VM.
type agent struct {
	all      *agents
	lb       client.ObjectKey
	identity trust.Agent
	name     string
	// token is what its seed holds, nil while that has not been read; unpinned tells
	// that no pin is on record. Only its LoadBalancer's reconcile uses them, and of
	// that there is never more than one at a time.
	token    *pki.Token
	unpinned bool

	mu     sync.Mutex
	client *lbclient.Client
	// unfollow ends the goroutine that follows the status, if there is one.
	unfollow context.CancelFunc
	// status is nil while the agent does not answer.
	status *lbapi.Status
	// err is why the last attempt failed; failures how many did in a row; next when
	// to try again.
	err      error
	failures int
	next     time.Time
	// silent is since when it has not answered; it has not begun if nobody ever asked.
	silent since
	// unheard is since when nobody who could hear it has.
	unheard since
	// unfit is since when it answers and does not serve.
	unfit since
	// everServed is whether it ever did, which is taken for granted of one that had a plan
	// when it was first judged.
	judged, everServed bool
	// held is since when it waits for a first plan.
	held since
	// handover is how it fares if it is to hand the VIP over.
	handover handover
	// met is whether it has answered since the manager started.
	met bool
	// taken is whether it refused a generation because it has another plan of that
	// number or a newer one.
	taken     bool
	forgotten bool
	closed    bool
}

var errClosing = errors.New("the manager is stopping")

// connection returns the client, dialling if there is none yet.
func (a *agent) connection(target lbclient.Target) (*lbclient.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosing
	}
	if a.client == nil {
		c, err := lbclient.Dial(target, a.all.manager, metrics.ObserveLoadBalancerCalls())
		if err != nil {
			return nil, err
		}
		a.client = c
	}
	return a.client, nil
}

// disconnect makes the next call dial anew, with what is known then.
func (a *agent) disconnect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut()
}

func (a *agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.cut()
}

// cut ends the connection and whoever follows it. The agent is locked.
func (a *agent) cut() {
	if a.unfollow != nil {
		a.unfollow()
		a.unfollow = nil
	}
	if a.client != nil {
		// It only fails when it is closed already.
		_ = a.client.Close()
		a.client = nil
	}
	a.status = nil
}

// observed returns the last status, or nil while the agent does not answer.
func (a *agent) observed() *lbapi.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// wait returns how long to leave the agent alone, and why.
func (a *agent) wait(now time.Time) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures == 0 || !a.next.After(now) {
		return 0, nil
	}
	return a.next.Sub(now), a.err
}

// answered takes the answer to a plan, unless whoever follows the status has seen the
// same plan in force: what he saw is as new, or newer, and will not be told again.
func (a *agent) answered(status lbapi.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == nil || a.status.Generation != status.Generation || a.status.Hash != status.Hash {
		a.status = &status
	}
	a.err, a.failures, a.met, a.silent = nil, 0, true, since{}
	a.follow()
}

// greeted takes that the agent answers; whoever follows it learns how it is.
func (a *agent) greeted() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err, a.failures, a.met, a.silent = nil, 0, true, since{}
	a.follow()
}

// failed takes a failure and returns when to try again.
func (a *agent) failed(err error, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	delay := retryAfter(a.failures, a.met)
	a.err, a.next = err, now.Add(delay)
	a.failures++
	if lbclient.IsAnswer(err) {
		a.silent = since{}
	}
	switch class := lbapi.ClassOf(err); {
	case class == lbapi.Stale, class == lbapi.Conflict:
		a.taken, a.met = true, true
		a.follow()
	case a.status != nil && a.unfollow != nil && lbclient.IsTimeout(err):
		// It is at work for longer than it is waited for. Whoever follows it knows at once
		// if it is gone, and hears how it ends.
	case class == lbapi.ApplyFailed, class == lbapi.InvalidPlan, lbclient.IsAnswer(err):
		// It answers, and what it carries is known, or is told to whoever follows it.
		a.met = true
		a.follow()
	default:
		a.status = nil
		a.silent.goesOn(true, now)
	}
	return delay
}

func retryAfter(failures int, met bool) time.Duration {
	if !met {
		if failures < bootTries {
			return bootRetry
		}
		failures -= bootTries
	}
	return min(firstRetry<<min(failures, 10), lastRetry)
}

// follow makes sure that somebody follows the status. The agent is locked.
func (a *agent) follow() {
	if a.closed || a.unfollow != nil || a.client == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.unfollow = cancel
	c := a.client
	a.all.following.Go(func() { a.watch(ctx, c) })
}

// watch follows the status over one client until ctx ends. While the stream is
// broken, the status is unknown.
func (a *agent) watch(ctx context.Context, c *lbclient.Client) {
	for failures := 0; ; failures++ {
		err := c.Watch(ctx, func(status lbapi.Status) {
			failures = 0
			a.observe(ctx, &status, nil)
		})
		if ctx.Err() != nil {
			return
		}
		a.observe(ctx, nil, err)
		timer := a.all.clock.NewTimer(retryAfter(failures, true))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

// observe takes what was seen by whoever follows, unless that is over.
func (a *agent) observe(ctx context.Context, status *lbapi.Status, err error) {
	a.mu.Lock()
	if ctx.Err() != nil {
		a.mu.Unlock()
		return
	}
	if status != nil || lbapi.ClassOf(err) != lbapi.TooLarge {
		a.status = status
	}
	if err != nil {
		a.err = err
	}
	// Who says more than can be read, or what nobody understands, is not silent.
	a.silent.goesOn(err != nil && !lbclient.IsAnswer(err), a.all.clock.Now())
	a.mu.Unlock()
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: a.lb.Namespace, Name: a.lb.Name}}
	select {
	case a.all.changed <- event.GenericEvent{Object: lb}:
	case <-ctx.Done():
	}
}

// heldBack returns since when the agent waits for a first plan.
func (a *agent) heldBack(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held.goesOn(true, now)
}

// resignsSince returns since when the agent is to hand the VIP over.
func (a *agent) resignsSince(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handover.began.goesOn(true, now)
}

// keepsVIP returns until when the agent keeps the VIP that it was to hand over, or zero.
func (a *agent) keepsVIP(vacant bool, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handover.keepsVIP(vacant, now)
}

// silence returns since when the agent does not answer, and why not. It begins anew
// with the manager, who cannot know how long nobody has asked.
func (a *agent) silence() (began time.Time, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status != nil {
		return time.Time{}, nil
	}
	return a.silent.began, a.err
}

func (a *agent) isTokenForgotten() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.forgotten
}

func (a *agent) tokenForgotten() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten = true
}
