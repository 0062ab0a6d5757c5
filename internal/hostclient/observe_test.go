package hostclient_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"

	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

// witness writes down what it is told.
type witness struct {
	mu   sync.Mutex
	told []string
}

func (w *witness) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

func (w *witness) hear() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

// CallBegins implements hostclient.Observer.
func (w *witness) CallBegins(_ context.Context, host, method string) func(codes.Code, error) {
	w.tell("%s %s begins", host, method)
	return func(code codes.Code, err error) {
		class := hostapi.Class("")
		if err != nil {
			class = hostapi.ClassOf(err)
		}
		w.tell("%s %s ends %s %s", host, method, code, class)
	}
}

// HostGone implements hostclient.Observer.
func (w *witness) HostGone(host string) { w.tell("%s is gone", host) }

func TestObserversAreToldOfEveryCall(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	host := agenttest.Start(t, agenttest.Options{Driver: driver})
	var w witness
	pool := hostclient.NewPool(host.Manager, 2, &w)
	t.Cleanup(pool.Close)
	client, err := pool.Get("rack-1", host.Target)
	g.Expect(err).NotTo(HaveOccurred())

	_, err = client.Hello(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(w.hear()).To(Equal([]string{"rack-1 Hello begins", "rack-1 Hello ends OK "}))

	_, err = client.GetVM(t.Context(), "vm-1")
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	g.Expect(w.hear()).To(Equal([]string{"rack-1 GetVM begins", "rack-1 GetVM ends NotFound NotFound"}))

	host.Stop()
	_, err = client.GetVM(t.Context(), "vm-1")
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	g.Expect(w.hear()).To(Equal([]string{"rack-1 GetVM begins", "rack-1 GetVM ends Unavailable HostUnreachable"}))
}

func TestAHostIsGoneOnceTheLastCallOfItHasEnded(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	host := agenttest.Start(t, agenttest.Options{Driver: driver})
	var w witness
	pool := hostclient.NewPool(host.Manager, 2, &w)
	t.Cleanup(pool.Close)
	client, err := pool.Get("rack-1", host.Target)
	g.Expect(err).NotTo(HaveOccurred())
	gate := driver.Block("ListVMs")
	done := make(chan error, 1)
	go func() { _, err := client.ListVMs(t.Context()); done <- err }()
	gate.AwaitCall()
	pool.Forget("rack-1")
	g.Expect(w.hear()).To(Equal([]string{"rack-1 ListVMs begins"}))
	gate.Open()
	g.Expect(<-done).To(Succeed())
	g.Expect(w.hear()).To(Equal([]string{"rack-1 ListVMs ends OK ", "rack-1 is gone"}))

	pool.Forget("rack-2")
	g.Expect(w.hear()).To(Equal([]string{"rack-2 is gone"}), "what was counted for it before its client was closed goes too")
}
