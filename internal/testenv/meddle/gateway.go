package meddle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Mishap befalls requests that write.
type Mishap string

// Mishaps.
const (
	// Conflict refuses an update as if somebody had changed the object meanwhile.
	Conflict Mishap = "Conflict"
	// AnswerLost has a request do its work, and cuts the connection.
	AnswerLost Mishap = "AnswerLost"
	// AnswerLate has a request do its work, and holds the answer back.
	AnswerLate Mishap = "AnswerLate"
)

// Planned is a mishap to come.
type Planned struct {
	Mishap Mishap
	// Times is how many requests it befalls.
	Times int
	// Groups are the API groups that it befalls.
	Groups []string
	// Late is by how much answers are late.
	Late time.Duration

	hits int
}

// Gateway carries requests to an API server, for one client.
type Gateway struct {
	listener net.Listener
	server   *http.Server
	reach    func() (*rest.Config, error)

	mu      sync.Mutex
	proxy   http.Handler
	planned []*Planned
}

// NewGateway returns a gateway on loopback. The API server and the client's identity are
// asked for at the first request: they may not be there yet.
func NewGateway(ctx context.Context, reach func() (*rest.Config, error)) (*Gateway, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a gateway to the API server: %w", err)
	}
	g := &Gateway{listener: listener, reach: reach}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	go func() { _ = g.server.Serve(listener) }()
	return g, nil
}

// URL is where the client finds it.
func (g *Gateway) URL() string { return "http://" + g.listener.Addr().String() }

// Close ends it and all requests under way.
func (g *Gateway) Close() error { return g.server.Close() }

// Plan has a mishap come. End takes what is returned.
func (g *Gateway) Plan(p Planned) *Planned {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.planned = append(g.planned, &p)
	return &p
}

// End ends a mishap, and returns how many requests it befell.
func (g *Gateway) End(p *Planned) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.planned = slices.DeleteFunc(g.planned, func(other *Planned) bool { return other == p })
	return p.hits
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	proxy, err := g.upstream()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch p := g.befalls(r); {
	case p == nil:
		proxy.ServeHTTP(rw, r)
	case p.Mishap == Conflict:
		refuse(rw, r)
	default:
		kept := &answer{header: http.Header{}}
		proxy.ServeHTTP(kept, r)
		if p.Mishap == AnswerLost {
			panic(http.ErrAbortHandler)
		}
		select {
		case <-time.After(p.Late):
			kept.tell(rw)
		case <-r.Context().Done():
		}
	}
}

// befalls returns the mishap that a request has, if any.
func (g *Gateway) befalls(r *http.Request) *Planned {
	var updates bool
	switch r.Method {
	case http.MethodPut, http.MethodPatch:
		updates = true
	case http.MethodPost, http.MethodDelete:
	default:
		return nil
	}
	// /apis/<group>/...
	parts := strings.SplitN(r.URL.Path, "/", 4)
	if len(parts) < 4 || parts[1] != "apis" {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.planned {
		if p.hits < p.Times && slices.Contains(p.Groups, parts[2]) && (updates || p.Mishap != Conflict) {
			p.hits++
			return p
		}
	}
	return nil
}

func (g *Gateway) upstream() (http.Handler, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.proxy != nil {
		return g.proxy, nil
	}
	config, err := g.reach()
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	g.proxy = &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// Whoever is cut off in the middle of an answer notices without a line in a log.
		ErrorLog: log.New(io.Discard, "", 0),
		// A server that is down refuses connections; it does not say so in an answer.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return g.proxy, nil
}

// refuse answers as an API server does when the object has changed.
func refuse(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(rw).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonConflict, Code: http.StatusConflict,
		Message: fmt.Sprintf("Operation cannot be fulfilled on %s: the object has been modified; please apply your changes to the latest version and try again", r.URL.Path),
	})
}

// answer is kept until it is told or lost.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(data []byte) (int, error) {
	a.body = append(a.body, data...)
	return len(data), nil
}

func (a *answer) tell(rw http.ResponseWriter) {
	for name, values := range a.header {
		rw.Header()[name] = values
	}
	if a.status != 0 {
		rw.WriteHeader(a.status)
	}
	_, _ = rw.Write(a.body)
}
