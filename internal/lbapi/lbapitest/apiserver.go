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
}

// NewAPIServer starts one whose certificate bears name and is valid around now. It
// ends with the test.
func NewAPIServer(t testing.TB, backend lbapi.Backend, name string, now time.Time) *APIServer {
	t.Helper()
	der, key, err := certify(now.Add(-time.Hour), now.Add(time.Hour), name)
	if err != nil {
		t.Fatalf("make a certificate for %s: %v", name, err)
	}
	a := &APIServer{Backend: backend, CA: encode(der)}
	listener, err := tls.Listen("tcp", fmt.Sprintf("%s:%d", a.Address, a.Port), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatalf("start an API server: %v", err)
	}
	Serve(t, listener, "/readyz", &a.Ready)
	return a
}

// Serve answers 200 on path while well, and 500 otherwise, until the test ends.
func Serve(t testing.TB, listener net.Listener, path string, well *atomic.Bool) {
	web := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || !well.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}),
	}
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() { _ = web.Close() })
}
