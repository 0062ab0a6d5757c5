package haproxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// apiServer is an API server as far as a load balancer can tell.
type apiServer struct {
	lbapi.Backend
	ca    string
	ready atomic.Bool
}

func (l *lab) newAPIServer(host int, name string) *apiServer {
	l.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	l.Expect(err).NotTo(HaveOccurred())
	a := &apiServer{
		Backend: lbapi.Backend{Name: fmt.Sprintf("cp-%d", host), Address: l.address(host)},
		ca:      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}
	a.Port = l.freePort(a.Address)
	listener, err := tls.Listen("tcp", fmt.Sprintf("%s:%d", a.Address, a.Port), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	l.Expect(err).NotTo(HaveOccurred())
	l.serve(listener, "/readyz", &a.ready)
	return a
}

// serve answers 200 on path while well, and 500 otherwise.
func (l *lab) serve(listener net.Listener, path string, well *atomic.Bool) {
	web := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || !well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go func() { _ = web.Serve(listener) }()
	l.t.Cleanup(func() { _ = web.Close() })
}

const serverName = "kubernetes.default.svc"

func (l *lab) apiPlan(ca string, backends ...lbapi.Backend) lbapi.Plan {
	plan := l.plan(backends...)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckTLSReadyz, Path: "/readyz", ServerName: serverName, CA: ca,
		Interval: 200 * time.Millisecond, Timeout: 2 * time.Second, Rise: 1, Fall: 1,
	}
	return plan
}

func TestAPIServersAreCheckedByReadyz(t *testing.T) {
	l := newLab(t)
	api := l.newAPIServer(10, serverName)
	l.apply(l.apiPlan(api.ca, api.Backend))
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthDown))
	stats, err := l.haproxy.Stat(t.Context())
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(stats).To(HaveLen(1))
	for _, s := range stats {
		l.Expect(s.Message).To(ContainSubstring("Layer7"))
	}
	api.ready.Store(true)
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthUp))
}

func TestAnImpostorIsNoAPIServer(t *testing.T) {
	l := newLab(t)
	named, signed := l.newAPIServer(10, "impostor.example"), l.newAPIServer(11, serverName)
	named.ready.Store(true)
	signed.ready.Store(true)
	for _, b := range []lbapi.Backend{named.Backend, signed.Backend} {
		l.apply(l.apiPlan(named.ca, b))
		l.eventually(l.health).Should(HaveKeyWithValue(b.Name, lbapi.HealthDown))
	}
}

// An API server that accepts connections and is not ready would fail whoever is
// sent to it.
func TestANewAPIServerGetsNothingBeforeItIsReady(t *testing.T) {
	l := newLab(t)
	first, second := l.newAPIServer(10, serverName), l.newAPIServer(11, serverName)
	for how, before := range map[string][]lbapi.Backend{"by the runtime API": {first.Backend}, "by a reload": nil} {
		plan := l.apiPlan(first.ca+second.ca, before...)
		if before == nil {
			plan.Frontends = nil
		}
		l.apply(plan)
		l.apply(l.apiPlan(first.ca+second.ca, first.Backend, second.Backend))
		l.Expect(l.health()).To(HaveKeyWithValue(second.Name, Not(Equal(lbapi.HealthUp))), how)
		l.Expect(l.ask(l.vipPort)).To(BeEmpty(), how)
		l.eventually(l.health).Should(HaveKeyWithValue(second.Name, lbapi.HealthDown), how)
	}
}

// TestTheFirstAPIServerIsAdded has a backend without servers, so that HAProxy has
// never read its authorities.
func TestTheFirstAPIServerIsAdded(t *testing.T) {
	l := newLab(t)
	api := l.newAPIServer(10, serverName)
	api.ready.Store(true)
	l.apply(l.apiPlan(api.ca))
	l.apply(l.apiPlan(api.ca, api.Backend))
	l.eventually(l.health).Should(HaveKeyWithValue(api.Name, lbapi.HealthUp))
}

func TestAuthoritiesGoWithTheirChecks(t *testing.T) {
	l := newLab(t)
	old, api := l.newAPIServer(10, serverName), l.newAPIServer(11, serverName)
	l.apply(l.apiPlan(old.ca, old.Backend))
	l.apply(l.apiPlan(api.ca, api.Backend))
	files, err := os.ReadDir(l.path("ca"))
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(files).To(HaveLen(1))
	l.Expect(os.ReadFile(l.path("ca/" + files[0].Name()))).To(BeEquivalentTo(api.ca))
}

func TestNodesOfALocalServiceAreCheckedOnTheirHealthPort(t *testing.T) {
	l := newLab(t)
	s := l.newServer(10)
	var local atomic.Bool
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	l.serve(listener, "/healthz", &local)
	plan := l.plan(s.Backend)
	plan.Frontends[0].Check = lbapi.Check{
		Kind: lbapi.CheckHTTP, Path: "/healthz", Port: int32(listener.Addr().(*net.TCPAddr).Port),
		Interval: 200 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1,
	}
	l.apply(plan)
	l.eventually(l.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
	l.Expect(l.ask(l.vipPort)).To(BeEmpty())
	local.Store(true)
	l.eventually(func() string { return l.ask(l.vipPort) }).Should(Equal(s.Name))

	// The one that a state file would have HAProxy go on asking.
	var other atomic.Bool
	listener, err = net.Listen("tcp", net.JoinHostPort(s.Address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	l.serve(listener, "/healthz", &other)
	plan.Frontends[0].Check.Port = int32(listener.Addr().(*net.TCPAddr).Port)
	l.apply(plan)
	l.eventually(l.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthDown))
}

// A node port that changes says nothing of the node's health, which is asked for at a
// port of its own. The interval is so long that nobody could find out anew.
func TestANodeStaysWellWhenItsNodePortChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*lbapi.Plan){
		"by the runtime API": func(*lbapi.Plan) {},
		"by a reload":        func(p *lbapi.Plan) { p.Frontends[0].AllowedSources = []string{"127.0.0.0/8"} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			before, after := l.newServer(10), l.newServer(10)
			var local atomic.Bool
			local.Store(true)
			listener, err := net.Listen("tcp", net.JoinHostPort(before.Address, "0"))
			l.Expect(err).NotTo(HaveOccurred())
			l.serve(listener, "/healthz", &local)
			plan := l.plan(before.Backend)
			plan.Frontends[0].Check = lbapi.Check{
				Kind: lbapi.CheckHTTP, Path: "/healthz", Port: int32(listener.Addr().(*net.TCPAddr).Port),
				Interval: time.Minute, Timeout: time.Second, Rise: 1, Fall: 1,
			}
			l.apply(plan)
			l.eventually(l.health).Should(HaveKeyWithValue(before.Name, lbapi.HealthUp))
			plan = plan.Clone()
			plan.Frontends[0].Backends[0].Port = after.Port
			change(&plan)
			l.apply(plan)
			before.close()
			l.Expect(l.askTwenty()).To(Equal(map[string]int{after.Name: 20}))
		})
	}
}
