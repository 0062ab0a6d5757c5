package traffic_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

func serve(t *testing.T, address string) net.Listener {
	t.Helper()
	return serveChecks(t, address, "")
}

func serveChecks(t *testing.T, address, health string) net.Listener {
	t.Helper()
	g := NewWithT(t)
	listener, err := net.Listen("tcp", address)
	g.Expect(err).NotTo(HaveOccurred())
	done := make(chan error, 1)
	go func() { done <- traffic.Serve(listener, "b1", health) }()
	t.Cleanup(func() {
		_ = listener.Close()
		g.Expect(<-done).To(Succeed())
	})
	return listener
}

func ask(t *testing.T, target net.Addr, options traffic.Options) *traffic.Asking {
	t.Helper()
	options.Target, options.Timeout, options.Every = target.String(), 5*time.Second, time.Millisecond
	asking := traffic.Ask(options)
	t.Cleanup(func() { asking.Stop() })
	return asking
}

func TestEveryRequestIsAccountedFor(t *testing.T) {
	g, listener := NewWithT(t), serve(t, "127.0.0.1:0")
	asking := ask(t, listener.Addr(), traffic.Options{Rate: 500, Streams: 3})
	g.Eventually(func() int64 { return asking.Report().Answered }).Should(BeNumerically(">", 100))
	g.Eventually(func() int64 { return asking.Report().Echoes }).Should(BeNumerically(">", 100))
	r := asking.Stop()
	g.Expect(r.Failed).To(BeZero())
	g.Expect(r.Asked).To(Equal(r.Answered))
	g.Expect(r.By).To(Equal(map[string]int64{"b1": r.Answered}))
	g.Expect(r.From).To(Equal(map[string]int64{"127.0.0.1": r.Answered}))
	g.Expect(r.P50).To(And(BeNumerically(">", 0), BeNumerically("<=", r.P99)))
	g.Expect(r.P99).To(BeNumerically("<=", r.Max))
	g.Expect(r.Broken).To(BeZero())
}

func TestWhatFailsIsCountedWithItsReason(t *testing.T) {
	g, listener := NewWithT(t), serve(t, "127.0.0.1:0")
	asking := ask(t, listener.Addr(), traffic.Options{Rate: 500})
	g.Eventually(func() int64 { return asking.Report().Answered }).Should(BeNumerically(">", 10))
	g.Expect(listener.Close()).To(Succeed())
	g.Eventually(func() int64 { return asking.Report().Failed }).Should(BeNumerically(">", 10))
	r := asking.Stop()
	g.Expect(r.Asked).To(Equal(r.Answered + r.Failed))
	g.Expect(r.Errors).To(HaveKeyWithValue("request: dial: connect: connection refused", BeNumerically(">", 1)))
}

func TestAnAnswerThatIsNotWholeIsAFailure(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64))
			_, _ = io.WriteString(conn, "1 b1")
			_ = conn.Close()
		}
	}()
	asking := ask(t, listener.Addr(), traffic.Options{Rate: 100})
	g.Eventually(func() int64 { return asking.Report().Failed }).Should(BeNumerically(">", 3))
	g.Expect(asking.Stop().Answered).To(BeZero())
}

// pipe is a listener's connections, each of which can be cut.
type pipe struct {
	net.Listener
	conns chan net.Conn
}

func (p pipe) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err == nil {
		p.conns <- conn
	}
	return conn, err
}

func TestABrokenStreamIsCountedAndBegunAnew(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	p := pipe{listener, make(chan net.Conn, 10)}
	go func() { _ = traffic.Serve(p, "b1", "") }()
	asking := ask(t, listener.Addr(), traffic.Options{Streams: 1})
	g.Eventually(func() int64 { return asking.Report().Echoes }).Should(BeNumerically(">", 5))
	g.Expect((<-p.conns).Close()).To(Succeed())
	g.Eventually(func() int64 { return asking.Report().Broken }).Should(Equal(int64(1)))
	echoes := asking.Report().Echoes
	g.Eventually(func() int64 { return asking.Report().Echoes }).Should(BeNumerically(">", echoes+5))
	g.Expect(asking.Stop().Broken).To(Equal(int64(1)))
}

func TestATimeWithoutAnswersIsMeasured(t *testing.T) {
	g, listener := NewWithT(t), serve(t, "127.0.0.1:0")
	asking := ask(t, listener.Addr(), traffic.Options{Rate: 200})
	g.Eventually(func() int64 { return asking.Report().Answered }).Should(BeNumerically(">", 10))
	g.Expect(listener.Close()).To(Succeed())
	began := time.Now()
	g.Eventually(func() time.Duration { r := asking.Report(); return r.LongestGap(began, r.Now) }).Should(BeNumerically(">", 200*time.Millisecond), "one that lasts")
	serve(t, listener.Addr().String())
	answered := asking.Report().Answered
	g.Eventually(func() int64 { return asking.Report().Answered }).Should(BeNumerically(">", answered+10))
	whole := time.Since(began)
	r := asking.Stop()
	g.Expect(r.LongestGap(began, r.Now)).To(And(BeNumerically(">", 200*time.Millisecond), BeNumerically("<", whole+100*time.Millisecond)))
	g.Expect(r.LongestGap(r.Now, r.Now)).To(BeZero(), "it is over")
	g.Expect(r.LongestGap(began, began.Add(-time.Minute))).To(BeZero(), "it began later")
}

func TestTheOtherProcessReportsWhenItIsTold(t *testing.T) {
	g, listener := NewWithT(t), serve(t, "127.0.0.1:0")
	var out bytes.Buffer
	options := traffic.Options{Target: listener.Addr().String(), Rate: 100, Timeout: time.Second}
	g.Expect(traffic.Obey(options, bytes.NewReader([]byte("\n\n")), &out)).To(Succeed())
	g.Expect(bytes.Count(out.Bytes(), []byte("\n"))).To(Equal(3), "one for each order and a last one")
}

func TestOneRequestTellsWhoAnswered(t *testing.T) {
	g, listener := NewWithT(t), serve(t, "127.0.0.1:0")
	g.Expect(traffic.Try(listener.Addr().String(), time.Second)).To(Equal("b1"))
	g.Expect(listener.Close()).To(Succeed())
	_, err := traffic.Try(listener.Addr().String(), time.Second)
	g.Expect(err).To(MatchError(ContainSubstring("refused")))
}
