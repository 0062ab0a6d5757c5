package lb

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

// addServer brings up a server on a machine of its own.
func (w *world) addServer(name string, address netip.Addr, flags ...string) (*netlab.Node, lbapi.Backend) {
	w.t.Helper()
	node, err := w.Net.NewNode("apart", address)
	w.Expect(err).NotTo(HaveOccurred())
	at := netip.AddrPortFrom(address, lblab.Port).String()
	_, err = node.Supervise("lab-traffic", slices.Concat([]string{programs.Traffic, "serve"}, flags, []string{name + "=" + at})...)
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() error {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			err = conn.Close()
		}
		return err
	}).Should(Succeed())
	return node, lbapi.Backend{Name: name, Address: address.String(), Port: lblab.Port}
}

// line is a connection through the VIP that rests, but for lines that come back.
type line struct {
	net.Conn
	lines *bufio.Reader
}

func (w *world) hold() *line {
	w.t.Helper()
	conn, err := net.Dial("tcp", target.String())
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprint(conn, "~")
	w.Expect(err).NotTo(HaveOccurred())
	l := &line{Conn: conn, lines: bufio.NewReader(conn)}
	w.Expect(l.echo()).To(Succeed())
	return l
}

// echo tells whether a line comes back. It waits for longer than a silent server may be
// waited for, and for less than kernels wait.
func (l *line) echo() error {
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(l, "hello"); err != nil {
		return err
	}
	_, err := l.lines.ReadString('\n')
	return err
}

// endedByPeer tells that a connection has ended, and not that its own patience has.
func endedByPeer() types.GomegaMatcher {
	return And(HaveOccurred(), Not(MatchError(os.ErrDeadlineExceeded)))
}

// servedByOneApart has a server that is on none of the world's own machines answer alone,
// and returns its machine and the plan.
func (w *world) servedByOneApart() (*netlab.Node, lbapi.Plan) {
	w.t.Helper()
	node, backend := w.addServer("s9", netip.MustParseAddr("10.77.0.60"))
	plan := w.Plan()
	plan.Frontends[0].Backends = []lbapi.Backend{backend}
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.answersOnly(target, backend.Name)
	return node, plan
}

// A server that loses its power ends none of its connections. Their clients have sent
// something and wait, or wait for something that is never sent.
func TestConnectionsToAServerThatLosesItsPowerEnd(t *testing.T) {
	w := start(t, 1)
	node, plan := w.servedByOneApart()
	before := w.hold()
	// A reload: whoever carries the first connection is not who carries the next.
	plan = plan.Clone()
	plan.Frontends = append(plan.Frontends, lblab.Frontend("second", 80))
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	after, resting := w.hold(), w.hold()
	plan = plan.Clone()
	plan.Frontends[0].Backends = append(plan.Frontends[0].Backends, lblab.Server(0))
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.Eventually(func(g Gomega) { g.Expect(w.Try(w.ctx, target)).To(HaveKeyWithValue(target, "s0")) }).Should(Succeed())
	draining := plan.Clone()
	draining.Frontends[0].Backends[0].Drain = true
	w.Expect(w.Apply(w.ctx, draining)).To(Succeed())
	elsewhere := w.hold()
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())

	w.Expect(node.PowerOff()).To(Succeed())
	w.Expect(resting.SetDeadline(time.Now().Add(patience))).To(Succeed())
	_, err := resting.lines.ReadString('\n')
	w.Expect(err).To(endedByPeer(), "one that waits")
	w.Expect(before.echo()).To(endedByPeer(), "one that a replaced worker carries")
	w.Expect(after.echo()).To(endedByPeer())
	w.Expect(elsewhere.echo()).To(Succeed(), "another server's")
	w.answersOnly(target, "s0")
}

// A node passes checks of its node port on to machines that may have lost their power, or
// has no room for another connection: that says nothing of those that it has.
func TestConnectionsToANodeThatAnswersItselfStayThoughItsPortIsSilent(t *testing.T) {
	if !*all {
		t.Skip("takes long: run with -all")
	}
	w := start(t, 1)
	node, plan := w.servedByOneApart()
	held := w.hold()
	plan = plan.Clone()
	plan.Frontends[0].Backends = append(plan.Frontends[0].Backends, lblab.Server(0))
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	rules := node.Command(w.ctx, "nft", "-f", "-")
	rules.Stdin = strings.NewReader(fmt.Sprintf(`table inet full {
	chain input {
		type filter hook input priority 0
		tcp dport %d tcp flags & (syn | ack) == syn drop
	}
}
`, lblab.Port))
	out, err := rules.CombinedOutput()
	w.Expect(err).NotTo(HaveOccurred(), string(out))
	w.answersOnly(target, "s0")
	w.Consistently(held.echo).WithTimeout(25 * time.Second).WithPolling(time.Second).Should(Succeed())
}

// Where no server is heard it is the load balancer's own network that is silent.
func TestConnectionsOutlastANetworkThatIsSilentForAWhile(t *testing.T) {
	if !*all {
		t.Skip("takes long: run with -all")
	}
	w := start(t, 1)
	held := w.hold()
	w.Expect(w.Servers.Cut()).To(Succeed())
	w.Consistently(func() error {
		if err := held.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		_, err := held.lines.ReadString('\n')
		return err
	}).WithTimeout(25 * time.Second).Should(MatchError(os.ErrDeadlineExceeded))
	w.Expect(w.Servers.Uncut()).To(Succeed())
	w.Expect(held.echo()).To(Succeed())
}

// Nobody but its neighbours knows of a VM whose host does not answer whether it is there.
func TestAVMTellsWhichOthersAreThere(t *testing.T) {
	w := start(t, 2)
	holder, others, err := w.Holder(w.ctx, lblab.VIP)
	w.Expect(err).NotTo(HaveOccurred())
	other := others[0]
	hears := func(silent bool) {
		w.t.Helper()
		_, err := holder.Await(w.ctx, func(s lbapi.Status) bool {
			return slices.Equal(s.Peers, []lbapi.PeerStatus{{Name: other.Name, Address: other.Address.String(), Silent: silent}})
		})
		w.Expect(err).NotTo(HaveOccurred())
	}
	hears(false)
	w.Expect(other.PowerOff()).To(Succeed())
	hears(true)
	w.Expect(other.PowerOn()).To(Succeed())
	hears(false)
}

// An API server that was started has its kernel accept connections for some time before
// it serves, or does so for ever: it is found out after a few checks, and whoever was led
// there meanwhile is told, and not left to wait.
func TestNoRequestHangsAtAnAPIServerThatDoesNotServe(t *testing.T) {
	w := start(t, 1)
	servers, err := w.NewAPIServers()
	w.Expect(err).NotTo(HaveOccurred())
	for _, number := range []int{0, 7} {
		w.Expect(servers.Certify(number)).To(Succeed())
	}
	// It has the certificate of the server whose name it bears.
	node, backend := w.addServer("s7", netip.MustParseAddr("10.77.0.60"), "-health", w.Servers.Disk())
	plan := w.Plan()
	plan.Frontends[0].Check, plan.Frontends[0].Backends = servers.Check(), []lbapi.Backend{backend}
	plan.Frontends[0].Check.Interval, plan.Frontends[0].Check.Fall = time.Second, 3
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.answersOnly(target, backend.Name)
	held := w.hold()
	plan = plan.Clone()
	plan.Frontends[0].Backends = append(plan.Frontends[0].Backends, lblab.Server(0))
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.Eventually(func(g Gomega) { g.Expect(w.Try(w.ctx, target)).To(HaveKeyWithValue(target, "s0")) }).Should(Succeed())

	w.Expect(node.Freeze()).To(Succeed())
	var asked sync.WaitGroup
	hung := make(chan error, 20)
	for range cap(hung) {
		asked.Go(func() {
			conn, err := net.Dial("tcp", target.String())
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = fmt.Fprint(conn, "?1\n")
			if _, err := bufio.NewReader(conn).ReadString('\n'); errors.Is(err, os.ErrDeadlineExceeded) {
				hung <- err
			}
		})
	}
	began := time.Now()
	asked.Wait()
	t.Logf("all were answered or told after %s", time.Since(began).Round(time.Millisecond))
	w.Expect(hung).To(BeEmpty(), "half of them are led to the one that does not serve")
	w.answersOnly(target, "s0")
	w.Expect(node.Thaw()).To(Succeed())
	w.Expect(held.echo()).To(Succeed(), "one that was answered before")
}
