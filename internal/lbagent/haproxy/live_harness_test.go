package haproxy_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

// lab is a real HAProxy on loopback, in a network of its own.
type lab struct {
	*WithT
	t       *testing.T
	dir     string
	network string
	haproxy *haproxy.HAProxy
	process *exec.Cmd
	log     string
	vipPort int32
	// carries is how many connections HAProxy may have.
	carries int
}

// labs are next to each other in a network that others will hardly choose, too.
var (
	labs     = 101 + rand.IntN(100)
	networks atomic.Uint32
)

func newLab(t *testing.T, with ...func(*lab)) *lab {
	t.Helper()
	t.Parallel()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal("haproxy is not installed: 'make test' installs it, or your system's package manager does")
	}
	// Sockets' paths may not be long.
	dir, err := os.MkdirTemp("", "lb")
	l := &lab{
		WithT: NewWithT(t), t: t, dir: dir, log: filepath.Join(dir, "log"),
		network: fmt.Sprintf("127.%d.%d", labs, networks.Add(1)%256), carries: 1000,
	}
	for _, f := range with {
		f(l)
	}
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { l.Expect(os.RemoveAll(dir)).To(Succeed()) })
	l.haproxy, err = haproxy.New(l.options(program))
	l.Expect(err).NotTo(HaveOccurred())
	l.vipPort = l.freePort(l.address(100))
	l.start()
	t.Cleanup(func() {
		l.kill()
		if t.Failed() {
			log, _ := os.ReadFile(l.log)
			config, _ := os.ReadFile(l.path("haproxy.cfg"))
			t.Logf("log of HAProxy:\n%s\nconfiguration:\n%s", log, config)
		}
	})
	return l
}

func (l *lab) options(program string) haproxy.Options {
	return haproxy.Options{
		Settings: haproxy.Settings{
			Socket: l.path("haproxy.sock"), StateFile: l.path("haproxy.state"), CADir: l.path("ca"),
			MaxConnections: l.carries, HardStopAfter: time.Minute, MaxReloads: 200,
		},
		Program: program, ConfigFile: l.path("haproxy.cfg"), MasterSocket: l.path("master.sock"),
		Patience: 10 * time.Second, Grace: 500 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// refusing is the same HAProxy, whose program finds fault with every file: a line
// that means nothing is added to what it is given.
func (l *lab) refusing() *haproxy.HAProxy {
	l.t.Helper()
	script := "#!/bin/sh\necho evil >>\"$3\"\nexec haproxy \"$@\"\n"
	l.Expect(os.WriteFile(l.path("refuse"), []byte(script), 0o700)).To(Succeed())
	h, err := haproxy.New(l.options(l.path("refuse")))
	l.Expect(err).NotTo(HaveOccurred())
	return h
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) address(host int) string { return fmt.Sprintf("%s.%d", l.network, host) }

func (l *lab) freePort(address string) int32 {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	l.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	return int32(listener.Addr().(*net.TCPAddr).Port)
}

// start starts HAProxy as systemd would: it knows its file and nothing else.
func (l *lab) start() {
	l.t.Helper()
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	l.Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	l.process = exec.Command("haproxy", "-W", "-S", l.path("master.sock"), "-f", l.path("haproxy.cfg"))
	l.process.Stdout, l.process.Stderr = log, log
	l.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.Expect(l.process.Start()).To(Succeed())
}

// kill takes HAProxy's power.
func (l *lab) kill() {
	_ = syscall.Kill(-l.process.Process.Pid, syscall.SIGKILL)
	_ = l.process.Wait()
}

func (l *lab) plan(backends ...lbapi.Backend) lbapi.Plan {
	return lbapi.Plan{
		Generation: 1, Cluster: "default/shop", Self: "lb-0",
		VIPs:  []lbapi.VIP{{Address: l.address(100), Network: l.network + ".0/24", VRID: 1}},
		Peers: []lbapi.Peer{{Name: "lb-0", Address: l.address(2), Priority: 100}},
		Frontends: []lbapi.Frontend{{
			Name: "web", VIP: l.address(100), Port: l.vipPort, Protocol: lbapi.TCP, Backends: backends,
			Check: lbapi.Check{Kind: lbapi.CheckTCP, Interval: 200 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 2},
		}},
	}
}

func (l *lab) apply(plan lbapi.Plan) {
	l.t.Helper()
	l.Expect(l.tryApply(plan)).To(Succeed())
}

func (l *lab) tryApply(plan lbapi.Plan) error {
	change, err := l.haproxy.Prepare(l.t.Context(), plan)
	if err != nil {
		return err
	}
	return change.Commit(l.t.Context())
}

// health is by the names of backends.
func (l *lab) health() map[string]lbapi.Health {
	stats, err := l.haproxy.Stat(l.t.Context())
	if err != nil {
		return nil
	}
	health := map[string]lbapi.Health{}
	for id, s := range stats {
		name, _, _ := strings.Cut(strings.TrimPrefix(id.Name, "s:"), ":")
		health[name] = s.Health
	}
	return health
}

func (l *lab) eventually(actual any) AsyncAssertion {
	return l.Eventually(actual).WithTimeout(10 * time.Second).WithPolling(5 * time.Millisecond)
}

// worker is the process that takes new connections.
func (l *lab) worker() string {
	conn, err := net.Dial("unix", l.path("haproxy.sock"))
	l.Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	fmt.Fprintln(conn, "show info")
	answer, err := io.ReadAll(conn)
	l.Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(answer)) {
		if strings.HasPrefix(line, "Pid:") {
			return line
		}
	}
	l.t.Fatalf("HAProxy does not tell its process: %s", answer)
	return ""
}

func (l *lab) newServer(host int) *lbapitest.Server {
	l.t.Helper()
	return l.serve(fmt.Sprintf("node-%d", host), host)
}

func (l *lab) serve(name string, host int) *lbapitest.Server {
	l.t.Helper()
	s := &lbapitest.Server{Backend: lbapi.Backend{Name: name, Address: l.address(host)}}
	s.Port = l.freePort(s.Address)
	l.Expect(s.Listen()).To(Succeed())
	l.t.Cleanup(s.Close)
	return s
}

func (l *lab) connect(port int32) (*lbapitest.Stream, error) {
	return lbapitest.Connect(l.t.Context(), fmt.Sprintf("%s:%d", l.address(100), port))
}

// ask returns who answers a connection, or nothing where nobody does.
func (l *lab) ask(port int32) string {
	s, err := l.connect(port)
	if err != nil {
		return ""
	}
	defer s.Close()
	return s.Server
}

// askTwenty counts who answers twenty connections.
func (l *lab) askTwenty() map[string]int {
	answers := map[string]int{}
	for range 20 {
		answers[l.ask(l.vipPort)]++
	}
	return answers
}

// holdOn returns a connection to the given server.
func (l *lab) holdOn(s *lbapitest.Server) *lbapitest.Stream {
	l.t.Helper()
	return lbapitest.HoldOn(l.t, fmt.Sprintf("%s:%d", l.address(100), l.vipPort), s)
}
