package lbcmd_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/lbcmd"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

func TestHelpNamesEveryFlagAndWhoRunsTheRest(t *testing.T) {
	g := NewWithT(t)
	var stdout, stderr logtest.Text
	g.Expect(lbcmd.Main(t.Context(), "capstan-lb", []string{"--help"}, &stdout, &stderr)).To(Equal(0))
	g.Expect(stderr.String()).To(BeEmpty())
	for _, line := range []string{
		`--config file +.*\(default /etc/capstan-lb/config.yaml\)`, `--haproxy-master-socket socket`, `haproxy -W -f`, `keepalived -n -P`,
		`capstan-lb probe SOCKET`, `capstan-lb version`,
	} {
		g.Expect(stdout.String()).To(MatchRegexp(line))
	}
}

func TestVersionIsToldBothWays(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		var stdout, stderr logtest.Text
		g := NewWithT(t)
		g.Expect(lbcmd.Main(t.Context(), "capstan-lb", []string{arg}, &stdout, &stderr)).To(Equal(0))
		g.Expect(stdout.String()).To(MatchRegexp(`^capstan-lb \S+\n$`))
	}
}

func TestWrongUse(t *testing.T) {
	const secret = "capstan-abcdefgh.topsecret"
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		NewWithT(t).Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
		return path
	}
	state := []string{"--state-dir", filepath.Join(dir, "state")}
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown flag":       {[]string{"--lisen", ":1"}, 2, "flag provided but not defined"},
		"an unknown command":    {[]string{"enrol"}, 2, `unknown command "enrol"`},
		"a probe of nothing":    {[]string{"probe"}, 2, `unknown command "probe"`},
		"an unknown log level":  {[]string{"--log-level", "loud"}, 2, `"loud" is not debug`},
		"an unknown log format": {[]string{"--log-format", "xml"}, 2, `"xml" is neither`},
		"no configuration":      {append(state, "--config", filepath.Join(dir, "nowhere")), 1, "read configuration of load balancer"},
		"an unknown field":      {append(state, "--config", write("unknown", "nick: a\n")), 1, "nick"},
		"a damaged token":       {append(state, "--config", write("damaged", "name: a\nlisten: 127.0.0.1:1\nenrolmentToken: "+secret+"\n")), 1, "read enrolment token"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var stdout, stderr logtest.Text
			g.Expect(lbcmd.Main(t.Context(), "capstan-lb", tt.args, &stdout, &stderr)).To(Equal(tt.code))
			g.Expect(stderr.String()).To(And(ContainSubstring(tt.want), Not(ContainSubstring("topsecret"))))
		})
	}
}

// TestAnAgentIsEnrolledAndServes has no HAProxy and no keepalived: it serves all the
// same, and says what it misses.
func TestAnAgentIsEnrolledAndServes(t *testing.T) {
	g := NewWithT(t)
	dir, err := os.MkdirTemp("", "lb")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(os.RemoveAll(dir)).To(Succeed()) })
	token := pki.NewToken()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	address := listener.Addr().String()
	g.Expect(listener.Close()).To(Succeed())
	config, err := lbapi.LBConfig{Name: "lb-0", Listen: address, EnrolmentToken: token.Reveal()}.Marshal()
	g.Expect(err).NotTo(HaveOccurred())
	in := func(name string) string { return filepath.Join(dir, name) }
	g.Expect(os.WriteFile(in("config.yaml"), config, 0o600)).To(Succeed())
	args := []string{
		"--config", in("config.yaml"), "--state-dir", in("state"), "--patience", "50ms",
		"--haproxy", "/bin/true", "--haproxy-config", in("h/haproxy.cfg"), "--haproxy-socket", in("h.sock"), "--haproxy-master-socket", in("m.sock"),
		"--keepalived", "/bin/true", "--keepalived-config", in("k/keepalived.conf"), "--keepalived-pid", in("k.pid"),
	}
	start := func() (stop func() string) {
		ctx, cancel := context.WithCancel(context.Background())
		var stdout, stderr logtest.Text
		code := make(chan int, 1)
		go func() { code <- lbcmd.Main(ctx, "capstan-lb", args, &stdout, &stderr) }()
		g.Eventually(stderr.String).WithTimeout(20 * time.Second).WithPolling(time.Millisecond).Should(ContainSubstring("load-balancer agent listens"))
		return func() string {
			cancel()
			g.Expect(<-code).To(Equal(0))
			return stderr.String()
		}
	}

	stop := start()
	for _, file := range []string{"h/haproxy.cfg", "k/keepalived.conf"} {
		g.Expect(in(file)).To(BeARegularFile(), "without it nobody can be started")
	}
	ca, err := pki.NewCA("capstan", time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	manager, err := pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: time.Now})
	g.Expect(err).NotTo(HaveOccurred())
	target := lbclient.Target{Address: address, Agent: pki.AgentRef{Name: "lb-0"}}
	g.Expect(lbclient.Enrol(t.Context(), target, manager, token, func(_ context.Context, pin pki.Pin) error {
		target.Agent.Pin = pin
		return nil
	})).To(Succeed())
	ask := func(use func(*lbclient.Client)) {
		client, err := lbclient.Dial(target, manager)
		g.Expect(err).NotTo(HaveOccurred())
		use(client)
		g.Expect(client.Close()).To(Succeed())
	}
	ask(func(c *lbclient.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		var seen lbapi.Status
		_ = c.Watch(ctx, func(s lbapi.Status) {
			if seen = s; len(s.Messages) == 2 {
				cancel()
			}
		})
		g.Expect(strings.Join(seen.Messages, "\n")).To(And(ContainSubstring("HAProxy"), ContainSubstring("keepalived does not run")))
		_, err := c.Apply(t.Context(), lbapi.Plan{
			Generation: 1, Cluster: "shop", Self: "lb-0", Peers: []lbapi.Peer{{Name: "lb-0", Address: "192.0.2.2", Priority: 100}},
		})
		g.Expect(err).To(HaveField("Class", lbapi.ApplyFailed))
		g.Expect(err).To(MatchError(ContainSubstring("HAProxy does not answer")))
	})
	log := stop()
	g.Expect(log).NotTo(ContainSubstring(token.Reveal()))
	g.Expect(regexp.MustCompile(`enrolled=false`).MatchString(log)).To(BeTrue())

	stop = start()
	ask(func(c *lbclient.Client) {
		_, err := c.Hello(t.Context(), "v1")
		g.Expect(err).NotTo(HaveOccurred(), "it knows the manager still")
	})
	g.Expect(stop()).To(ContainSubstring("enrolled=true"))
}
