package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Defaults of Options.
const (
	DefaultInterval = 50 * time.Millisecond
	DefaultTimeout  = 2 * time.Second
)

// Options say whom to ask and how often.
type Options struct {
	// Kubeconfig reaches the API server.
	Kubeconfig []byte
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
	config, err := clientcmd.RESTConfigFromKubeConfig(o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("probing an API server: reading its kubeconfig: %w", err)
	}
	p := &Probe{interval: o.Interval, timeout: o.Timeout}
	if p.interval <= 0 {
		p.interval = DefaultInterval
	}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	ctx, p.stop = context.WithCancel(ctx)
	for _, kind := range []Kind{NewConnection, KeptConnection} {
		client, err := p.client(config, kind)
		if err != nil {
			p.stop()
			return nil, fmt.Errorf("probing %s: %w", config.Host, err)
		}
		p.running.Go(func() { p.run(ctx, kind, client) })
	}
	return p, nil
}

// client is what kubectl reaches the API server with: the same transport and the
// same retries, which are of reads on connections that broke, and of nothing
// else.
func (p *Probe) client(config *rest.Config, kind Kind) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &corev1.SchemeGroupVersion, "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.QPS = -1
	config.UserAgent = "capstan-probe (" + string(kind) + ")"
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	transport := utilnet.SetTransportDefaults(&http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: kind == NewConnection})
	wire, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, err
	}
	return rest.RESTClientForConfigAndClient(config, &http.Client{Transport: wire})
}

func (p *Probe) run(ctx context.Context, kind Kind, client *rest.RESTClient) {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		asking.Go(func() { p.ask(ctx, kind, client) })
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask reads an object that is kept in etcd.
func (p *Probe) ask(ctx context.Context, kind Kind, client *rest.RESTClient) {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	// A client and its transport try again by themselves, each on a connection.
	var attempts atomic.Int64
	limited = httptrace.WithClientTrace(limited, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { attempts.Add(1) }})
	began := time.Now()
	err := client.Get().Resource("nodes").Param("limit", "1").Do(limited).Error()
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
