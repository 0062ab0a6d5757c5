package probe

import (
	"context"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	DefaultInterval = 50 * time.Millisecond
	DefaultTimeout  = 2 * time.Second
)

// Options say whom to ask and how often.
type Options struct {
	// Kubeconfig reaches the API server that is asked for a node.
	Kubeconfig []byte
	// URL is asked in place of an API server, if it is set, and Judge says what is
	// wrong with an answer.
	URL   string
	Judge func(answer string) error
	// Interval is between two requests of one kind. By default 50 ms.
	Interval time.Duration
	// Timeout is how long a request may take. By default 2 s.
	Timeout time.Duration
}

// Kind is how a request reaches the API server.
type Kind string

// Kinds of requests. They fail in different ways: a new connection meets a load
// balancer that is gone, a kept one the member behind it that leaves.
const (
	NewConnection  Kind = "new connection"
	KeptConnection Kind = "kept connection"
)

// Probe is a probe at work.
type Probe struct {
	interval, timeout time.Duration
	stop              context.CancelFunc
	running           sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

// answer is what became of a request.
type answer struct {
	kind         Kind
	began, ended time.Time
	// attempts is how often a client sent it.
	attempts int
	err      error
}

// Start begins to ask. Requests begin at their time, whether or not earlier ones
// were answered by then.
func Start(ctx context.Context, o Options) (*Probe, error) {
	p := &Probe{interval: o.Interval, timeout: o.Timeout}
	if p.interval <= 0 {
		p.interval = DefaultInterval
	}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	ctx, p.stop = context.WithCancel(ctx)
	for _, kind := range []Kind{NewConnection, KeptConnection} {
		ask, err := o.asker(kind)
		if err != nil {
			p.stop()
			return nil, err
		}
		p.running.Go(func() { p.run(ctx, kind, ask) })
	}
	return p, nil
}

func (p *Probe) run(ctx context.Context, kind Kind, ask asker) {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		asking.Go(func() { p.ask(ctx, kind, ask) })
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *Probe) ask(ctx context.Context, kind Kind, ask asker) {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	// A client and its transport try again by themselves, each on a connection.
	var attempts atomic.Int64
	limited = httptrace.WithClientTrace(limited, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { attempts.Add(1) }})
	began := time.Now()
	err := ask(limited)
	if ctx.Err() != nil {
		// It was cut off by Stop.
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, answer{kind: kind, began: began, ended: time.Now(), attempts: int(attempts.Load()), err: err})
}

// Report tells how it went so far.
func (p *Probe) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return judge(p.answers)
}

// Stop asks no more and tells how it went.
func (p *Probe) Stop() Report {
	p.stop()
	p.running.Wait()
	return p.Report()
}
