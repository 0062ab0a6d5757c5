package lbapitest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// APIServer is an API server as far as a load balancer can tell: it answers
// /readyz over TLS with whether it is Ready.
type APIServer struct {
	lbapi.Backend
	// CA has signed its certificate, in PEM.
	CA    string
	Ready atomic.Bool

	t           testing.TB
	certificate tls.Certificate
	// end ends what there is of it.
	end func()
}

// NewAPIServer starts one whose certificate bears name and is valid around now. It
// ends with the test.
func NewAPIServer(t testing.TB, backend lbapi.Backend, name string, now time.Time) *APIServer {
	t.Helper()
	der, key, err := certify(now.Add(-time.Hour), now.Add(time.Hour), name)
	if err != nil {
		t.Fatalf("make a certificate for %s: %v", name, err)
	}
	a := &APIServer{Backend: backend, CA: encode(der), t: t, certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	a.Serve()
	t.Cleanup(a.Stop)
	return a
}

// Another starts one more of the same cluster: it has the same certificate.
func (a *APIServer) Another(backend lbapi.Backend) *APIServer {
	a.t.Helper()
	other := &APIServer{Backend: backend, CA: a.CA, t: a.t, certificate: a.certificate}
	other.Serve()
	a.t.Cleanup(other.Stop)
	return other
}

// Serve has it answer.
func (a *APIServer) Serve() {
	a.t.Helper()
	web := newWeb("/readyz", &a.Ready)
	listener := tls.NewListener(a.listen(), &tls.Config{Certificates: []tls.Certificate{a.certificate}})
	go func() { _ = web.Serve(listener) }()
	a.end = func() { _ = web.Close() }
}

// Hang has its kernel accept connections with which nobody does anything, as that of one
// that starts.
func (a *APIServer) Hang() {
	a.t.Helper()
	listener := a.listen()
	a.end = func() { _ = listener.Close() }
}

// Stop ends it, with all its connections.
func (a *APIServer) Stop() {
	a.end()
	a.end = func() {}
}

// listen listens once nobody else does, on a free port where none was given.
func (a *APIServer) listen() net.Listener {
	a.t.Helper()
	if a.end != nil {
		a.end()
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a.Address, a.Port))
	if err != nil {
		a.t.Fatalf("start an API server: %v", err)
	}
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		a.Port = int32(address.Port)
	}
	return listener
}

// Serve answers 200 on path while well, and 500 otherwise, until the test ends.
func Serve(t testing.TB, listener net.Listener, path string, well *atomic.Bool) {
	web := newWeb(path, well)
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() { _ = web.Close() })
}

func newWeb(path string, well *atomic.Bool) *http.Server {
	return &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || !well.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}),
	}
}
