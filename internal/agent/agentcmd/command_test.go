package agentcmd_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

func driver(d hostapi.Driver) agentcmd.Driver {
	return agentcmd.Driver{
		Name: "test", Summary: "a map", Flags: func(f *flag.FlagSet) { f.String("map-size", "", "`size` of the map") },
		Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) { return d, nil },
	}
}

func TestAnAgentWithoutADriverSaysSoAndEnds(t *testing.T) {
	g := NewWithT(t)
	var stdout, stderr logtest.Text
	g.Expect(agentcmd.Main(t.Context(), "capstan-agent", nil, &stdout, &stderr)).To(Equal(1))
	g.Expect(stderr.String()).To(Equal("capstan-agent: this build has no driver, so there is no hypervisor that it could serve\n"))
	g.Expect(agentcmd.Main(t.Context(), "capstan-agent", []string{"--help"}, &stdout, &stderr)).To(Equal(0))
	g.Expect(stdout.String()).To(ContainSubstring("none: this build cannot serve a host"))
}

func TestHelpNamesDriversAndTheirFlags(t *testing.T) {
	g := NewWithT(t)
	var stdout, stderr logtest.Text
	code := agentcmd.Main(t.Context(), "dev-agent", []string{"--help"}, &stdout, &stderr, driver(nil))
	g.Expect(code).To(Equal(0))
	g.Expect(stderr.String()).To(BeEmpty())
	for _, line := range []string{`test +a map`, `--map-size size +size of the map`, `--listen address .*\(default :7443\)`, `dev-agent version`} {
		g.Expect(stdout.String()).To(MatchRegexp(line))
	}
}

func TestADriverIsToldTheStateFolderBeforeItIsOpened(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "elsewhere")
	var told []string
	d := agentcmd.Driver{
		Name: "test", StateDir: func(dir string) { told = append(told, dir) },
		Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) {
			told = append(told, "open")
			return nil, errors.New("no hypervisor")
		},
	}
	var stdout, stderr logtest.Text
	g.Expect(agentcmd.Main(t.Context(), "dev-agent", []string{"--state-dir", dir}, &stdout, &stderr, d)).To(Equal(1))
	g.Expect(told).To(Equal([]string{dir, "open"}))
}

func TestWrongUse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown flag":       {[]string{"--lisen", ":1"}, 2, "flag provided but not defined"},
		"an unknown command":    {[]string{"enrol"}, 2, `unknown command "enrol"`},
		"an unknown driver":     {[]string{"--driver", "vmware"}, 1, `no driver "vmware": it has \["test"\]`},
		"an unknown log level":  {[]string{"--log-level", "loud"}, 2, `"loud" is not debug`},
		"an unknown log format": {[]string{"--log-format", "xml"}, 2, `"xml" is neither`},
		"no such token file":    {[]string{"--state-dir", "STATE", "--enrol-token-file", "nowhere"}, 1, "read enrolment token"},
		"an address in no form": {[]string{"--state-dir", "STATE", "--listen", "nowhere"}, 1, "listen on nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			for i := range test.args {
				if test.args[i] == "STATE" {
					test.args[i] = filepath.Join(t.TempDir(), "state")
				}
			}
			var stdout, stderr logtest.Text
			code := agentcmd.Main(t.Context(), "dev-agent", test.args, &stdout, &stderr, driver(agenttest.NewDriver("host-1")))
			g.Expect(code).To(Equal(test.code))
			g.Expect(stderr.String()).To(MatchRegexp(test.want))
		})
	}
}

func TestADamagedTokenIsNotQuoted(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "token")
	secret := pki.NewToken().Reveal() + "x"
	g.Expect(os.WriteFile(file, []byte(secret), 0o600)).To(Succeed())
	var stdout, stderr logtest.Text
	code := agentcmd.Main(t.Context(), "dev-agent", []string{"--state-dir", filepath.Join(t.TempDir(), "state"), "--enrol-token-file", file}, &stdout, &stderr, driver(agenttest.NewDriver("host-1")))
	g.Expect(code).To(Equal(1))
	g.Expect(stderr.String()).NotTo(ContainSubstring(secret[len(secret)-20:]))
}

func TestADriverThatDoesNotOpenEndsTheAgent(t *testing.T) {
	g := NewWithT(t)
	closed := agentcmd.Driver{Name: "test", Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) {
		return nil, errors.New("no hypervisor here")
	}}
	var stdout, stderr logtest.Text
	code := agentcmd.Main(t.Context(), "dev-agent", []string{"--state-dir", filepath.Join(t.TempDir(), "state")}, &stdout, &stderr, closed)
	g.Expect(code).To(Equal(1))
	g.Expect(stderr.String()).To(ContainSubstring("open driver test: no hypervisor here"))
}

// agentProcess runs the command until the test stops it, and returns where it
// listens.
func agentProcess(t *testing.T, d hostapi.Driver, args ...string) (address string, stop func() (code int, log string)) {
	t.Helper()
	return commandProcess(t, agentcmd.Command{Program: "dev-agent", Drivers: []agentcmd.Driver{driver(d)}}, args...)
}

func commandProcess(t *testing.T, command agentcmd.Command, args ...string) (address string, stop func() (code int, log string)) {
	t.Helper()
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr logtest.Text
	code := make(chan int, 1)
	go func() { code <- command.Run(ctx, args, &stdout, &stderr) }()
	listens := regexp.MustCompile(`msg="agent listens".* address=(\S+)`)
	g.Eventually(stderr.String).WithTimeout(20 * time.Second).WithPolling(time.Millisecond).Should(MatchRegexp(listens.String()))
	return listens.FindStringSubmatch(stderr.String())[1], func() (int, string) {
		cancel()
		return <-code, stderr.String()
	}
}

func TestAnAgentIsEnrolledServesAndStopsWithoutLosingItsIdentity(t *testing.T) {
	g := NewWithT(t)
	token := pki.NewToken()
	file := filepath.Join(t.TempDir(), "token")
	g.Expect(os.WriteFile(file, []byte(token.Reveal()+"\n"), 0o600)).To(Succeed())
	args := []string{"--listen", "127.0.0.1:0", "--state-dir", filepath.Join(t.TempDir(), "state"), "--enrol-token-file", file, "--name", "host-1"}
	manager := agenttest.NewManager(t, time.Now)
	target := hostclient.Target{Name: "host-1"}
	hello := func() hostapi.Hello {
		client, err := hostclient.Dial(target, manager)
		g.Expect(err).NotTo(HaveOccurred())
		defer client.Close()
		hello, err := client.Hello(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		return hello
	}

	var stop func() (int, string)
	target.Address, stop = agentProcess(t, agenttest.NewDriver("hv-1"), args...)
	g.Expect(hostclient.Enrol(t.Context(), target, manager, token, func(_ context.Context, pin pki.Pin) error {
		target.Pin = pin
		return nil
	})).To(Succeed())
	g.Expect(hello()).To(And(HaveField("Host", "hv-1"), HaveField("Driver", "test"), HaveField("Protocols", hostapi.Protocols())))
	code, log := stop()
	g.Expect(code).To(Equal(0))
	g.Expect(log).NotTo(ContainSubstring(token.Reveal()))

	// The token lies in its file still, and is worthless.
	target.Address, stop = agentProcess(t, agenttest.NewDriver("hv-1"), args...)
	g.Expect(hello().Host).To(Equal("hv-1"))
	code, _ = stop()
	g.Expect(code).To(Equal(0))
}

// aheadClock is years ahead.
type aheadClock struct{}

func (aheadClock) Now() time.Time { return time.Now().AddDate(10, 0, 0) }

func (aheadClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

func TestAnAgentJudgesCertificatesByTheClockItIsGiven(t *testing.T) {
	g := NewWithT(t)
	token := pki.NewToken()
	file := filepath.Join(t.TempDir(), "token")
	g.Expect(os.WriteFile(file, []byte(token.Reveal()), 0o600)).To(Succeed())
	args := []string{"--listen", "127.0.0.1:0", "--state-dir", filepath.Join(t.TempDir(), "state"), "--enrol-token-file", file}
	manager := agenttest.NewManager(t, time.Now)
	target := hostclient.Target{Name: "host-1"}
	var stop func() (int, string)
	target.Address, stop = agentProcess(t, agenttest.NewDriver("hv-1"), args...)
	g.Expect(hostclient.Enrol(t.Context(), target, manager, token, func(_ context.Context, pin pki.Pin) error {
		target.Pin = pin
		return nil
	})).To(Succeed())
	stop()

	ahead := agentcmd.Command{Program: "dev-agent", Drivers: []agentcmd.Driver{driver(agenttest.NewDriver("hv-1"))}, Clock: aheadClock{}}
	target.Address, stop = commandProcess(t, ahead, args...)
	client, err := hostclient.Dial(target, manager)
	g.Expect(err).NotTo(HaveOccurred())
	defer client.Close()
	_, err = client.Hello(t.Context())
	g.Expect(err).To(MatchError(hostapi.ErrCertificateDates))
	stop()
}

func TestTwoAgentsDoNotShareAStateFolder(t *testing.T) {
	g := NewWithT(t)
	state := filepath.Join(t.TempDir(), "state")
	_, stop := agentProcess(t, agenttest.NewDriver("hv-1"), "--listen", "127.0.0.1:0", "--state-dir", state)
	var stdout, stderr logtest.Text
	second := []string{"--listen", "127.0.0.1:0", "--state-dir", state}
	g.Expect(agentcmd.Main(t.Context(), "dev-agent", second, &stdout, &stderr, driver(agenttest.NewDriver("hv-1")))).To(Equal(1))
	g.Expect(stderr.String()).To(And(ContainSubstring("is used by another agent on this host"), ContainSubstring("event=201")))
	code, _ := stop()
	g.Expect(code).To(Equal(0))

	_, stop = agentProcess(t, agenttest.NewDriver("hv-1"), second...)
	code, log := stop()
	g.Expect(code).To(Equal(0), "the first has given it back")
	g.Expect(log).To(And(ContainSubstring("event=200"), ContainSubstring("event=101")))
}

func TestWhatEndsAnAgentHasItsNumber(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("no token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args  []string
		guard error
		want  agentcmd.Event
	}{
		"an open state folder":   {nil, errors.New("everybody may read it"), agentcmd.EventState},
		"a damaged token":        {[]string{"--enrol-token-file", token}, nil, agentcmd.EventToken},
		"an address in no form":  {[]string{"--listen", "nowhere"}, nil, agentcmd.EventListen},
		"a driver it lacks":      {[]string{"--driver", "vmware"}, nil, agentcmd.EventDriver},
		"a flag it lacks":        {[]string{"--lisen", ":1"}, nil, agentcmd.EventUsage},
		"a command it lacks":     {[]string{"enrol"}, nil, agentcmd.EventUsage},
		"a log level of its own": {[]string{"--log-level", "loud"}, nil, agentcmd.EventUsage},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var stdout, stderr, log logtest.Text
			command := agentcmd.Command{
				Program: "capstan-agent", Drivers: []agentcmd.Driver{driver(agenttest.NewDriver("hv-1"))},
				Log:   func(slog.Leveler) slog.Handler { return slog.NewTextHandler(&log, nil) },
				Guard: func(string) error { return test.guard },
			}
			g.Expect(command.Run(t.Context(), append([]string{"--state-dir", filepath.Join(t.TempDir(), "state")}, test.args...), &stdout, &stderr)).NotTo(Equal(0))
			g.Expect(log.String()).To(ContainSubstring(fmt.Sprintf("event=%d ", int(test.want))))
			g.Expect(log.String()).NotTo(ContainSubstring("error=<nil>"))
			g.Expect(agentcmd.Events()).To(ContainElement(test.want))
		})
	}
}

func TestATokenIsHandedOverOnceAndLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	state, file := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "token")
	token := pki.NewToken()
	g.Expect(os.WriteFile(file, []byte(token.Reveal()), 0o600)).To(Succeed())
	done, err := agentcmd.TakeToken(state, file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(done).To(ContainSubstring("token " + token.ID()))
	g.Expect(file).NotTo(BeAnExistingFile())

	manager := agenttest.NewManager(t, time.Now)
	target := hostclient.Target{Name: "host-1"}
	address, stop := agentProcess(t, agenttest.NewDriver("hv-1"), "--listen", "127.0.0.1:0", "--state-dir", state)
	target.Address = address
	g.Expect(hostclient.Enrol(t.Context(), target, manager, token, func(context.Context, pki.Pin) error { return nil })).To(Succeed())
	g.Expect(os.WriteFile(file, []byte(token.Reveal()), 0o600)).To(Succeed())
	_, err = agentcmd.TakeToken(state, file)
	g.Expect(err).To(MatchError(ContainSubstring("is used by another agent")))
	g.Expect(file).To(BeAnExistingFile(), "nobody has taken it")
	stop()
	g.Expect(agentcmd.TakeToken(state, file)).To(ContainSubstring("enrolled already"))
	g.Expect(file).NotTo(BeAnExistingFile())
}

func TestFlagsOfAServiceAreJudgedBeforeItIsInstalled(t *testing.T) {
	g := NewWithT(t)
	command := agentcmd.Command{Program: "capstan-agent", Drivers: []agentcmd.Driver{driver(nil)}}
	g.Expect(command.StateDir([]string{"--state-dir", `D:\Capstan`, "--map-size", "3"})).To(Equal(`D:\Capstan`))
	g.Expect(command.StateDir(nil)).To(Equal(agentcmd.DefaultStateDir()))
	for want, args := range map[string][]string{
		"flag provided but not defined": {"--lisen", ":1"},
		`"version" is no flag`:          {"version"},
		"would stay in the service's":   {"--enrol-token-file", "token"},
		"is not debug":                  {"--log-level", "loud"},
		"no driver":                     {"--driver", "vmware"},
	} {
		_, err := command.StateDir(args)
		g.Expect(err).To(MatchError(ContainSubstring(want)))
	}
}

func TestEveryTokenIsANewOne(t *testing.T) {
	g := NewWithT(t)
	seen := map[string]bool{}
	for range 3 {
		var stdout, stderr logtest.Text
		g.Expect(agentcmd.Main(t.Context(), "capstan-agent", []string{"token"}, &stdout, &stderr)).To(Equal(0))
		token, err := pki.ParseToken(stdout.String())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(seen[token.ID()]).To(BeFalse())
		seen[token.ID()] = true
	}
}
