package probe

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	patience = 20 * time.Second
	interval = 5 * time.Millisecond
)

// apiServer answers as an API server would, or fails as one.
type apiServer struct {
	*httptest.Server
	// broken fails all requests, cut ends the connection of the next one.
	broken, cut atomic.Bool
	// http1 has one request at a time on a connection, so that ending it hits no other.
	http1 bool

	mu sync.Mutex
	// connections are the clients' ends, by what the client calls itself.
	connections map[string]map[string]bool
}

func newAPIServer(t *testing.T, with ...func(*apiServer)) *apiServer {
	t.Helper()
	s := &apiServer{connections: map[string]map[string]bool{}}
	for _, f := range with {
		f(s)
	}
	return s.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path != "/api/v1/nodes" || r.Header.Get("Authorization") != "Bearer known":
			w.WriteHeader(http.StatusForbidden)
		case s.cut.CompareAndSwap(true, false):
			panic(http.ErrAbortHandler)
		case s.broken.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(`{"kind":"NodeList","apiVersion":"v1","items":[]}`))
		}
	}))
}

func (s *apiServer) start(t *testing.T, handler http.Handler) *apiServer {
	t.Helper()
	s.Server = httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = !s.http1
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connections[r.UserAgent()] == nil {
		s.connections[r.UserAgent()] = map[string]bool{}
	}
	s.connections[r.UserAgent()][r.RemoteAddr] = true
}

func (s *apiServer) connectionsOf(kind Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connections[userAgent(kind)])
}

func (s *apiServer) kubeconfig(t *testing.T) []byte {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: s.URL, InsecureSkipTLSVerify: true}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "known"}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	raw, err := clientcmd.Write(*config)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return raw
}

func start(t *testing.T, s *apiServer) *Probe {
	t.Helper()
	p, err := Start(t.Context(), Options{Kubeconfig: s.kubeconfig(t), Interval: interval})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { p.Stop() })
	return p
}

func (p *Probe) requests() int { return p.Report().Requests }

func TestBothKindsOfConnectionsAreProbed(t *testing.T) {
	g := NewWithT(t)
	s := newAPIServer(t)
	p := start(t, s)
	g.Eventually(p.requests).WithTimeout(patience).Should(BeNumerically(">", 40))
	report := p.Stop()
	g.Expect(report.CheckNone()).To(Succeed())
	g.Expect(report.LongestGap).To(BeNumerically(">", 0))
	kinds := map[Kind]int{}
	for _, a := range p.answers {
		kinds[a.kind]++
	}
	g.Expect(kinds[KeptConnection]).To(BeNumerically(">", 10))
	g.Expect(s.connectionsOf(KeptConnection)).To(BeNumerically("<", 5), "few are dialled before one is there to be kept")
	g.Expect(s.connectionsOf(NewConnection)).To(BeNumerically(">=", kinds[NewConnection]))
}

func TestFailuresAreCountedAndToldOfUntilTheyEnd(t *testing.T) {
	g := NewWithT(t)
	s := newAPIServer(t)
	p := start(t, s)
	g.Eventually(p.requests).WithTimeout(patience).Should(BeNumerically(">", 10))
	s.broken.Store(true)
	g.Eventually(func() int { return p.Report().Failed }).WithTimeout(patience).Should(BeNumerically(">", 10))
	s.broken.Store(false)
	failed := p.requests()
	g.Eventually(p.requests).WithTimeout(patience).Should(BeNumerically(">", failed+10))
	report := p.Stop()
	g.Expect(report.CheckNone()).To(MatchError(ContainSubstring("unable to handle the request")))
	g.Expect(report.Failed).To(BeNumerically("<", report.Requests))
	g.Expect(report.Outages).NotTo(BeEmpty())
}

func TestAReadOnAConnectionThatBreaksIsRetriedAsKubectlDoes(t *testing.T) {
	g := NewWithT(t)
	s := newAPIServer(t, func(s *apiServer) { s.http1 = true })
	p := start(t, s)
	g.Eventually(p.requests).WithTimeout(patience).Should(BeNumerically(">", 10))
	s.cut.Store(true)
	g.Eventually(func() int { return p.Report().Retried }).WithTimeout(patience).Should(BeNumerically(">", 0))
	g.Expect(p.Stop().CheckNone()).To(Succeed())
}

func TestWhatStopCutsOffIsNoFailure(t *testing.T) {
	g := NewWithT(t)
	asked := make(chan struct{}, 1)
	p := start(t, new(apiServer).start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	})))
	g.Eventually(asked).WithTimeout(patience).Should(Receive())
	report := p.Stop()
	g.Expect(report.Requests).To(BeZero())
	g.Expect(report.CheckNone()).To(Succeed())
}

func TestAnAPIServerThatNeverAnswersFailsRequestsInTime(t *testing.T) {
	g := NewWithT(t)
	s := new(apiServer).start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	p, err := Start(t.Context(), Options{Kubeconfig: s.kubeconfig(t), Interval: interval, Timeout: interval})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() int { return p.Report().Failed }).WithTimeout(patience).Should(BeNumerically(">", 1))
	g.Expect(p.Stop().CheckNone()).To(HaveOccurred())
}
