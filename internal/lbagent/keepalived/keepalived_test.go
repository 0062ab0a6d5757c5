package keepalived_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/keepalived"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// TestMain has a hangup do no harm that comes when its test is over: the kernel is in no
// hurry where others want its processors.
func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	os.Exit(m.Run())
}

// stand is a keepalived whose program judges files by a script, and whose process
// is this test's own: it hears what would be a reload.
type stand struct {
	*WithT
	dir     string
	options keepalived.Options
	reloads chan os.Signal

	mu   sync.Mutex
	held map[netip.Addr]string
	// sticky VIPs cannot be taken away.
	sticky bool
	// stripped are those that were.
	stripped []string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	dir := t.TempDir()
	s := &stand{WithT: NewWithT(t), dir: dir, reloads: make(chan os.Signal, 10), held: map[netip.Addr]string{netip.MustParseAddr("192.0.2.2"): "eth0"}}
	self, err := os.Executable()
	s.Expect(err).NotTo(HaveOccurred())
	// What is known of a process is its name, of which the kernel keeps 15 letters.
	program := filepath.Join(dir, filepath.Base(self)[:min(15, len(filepath.Base(self)))])
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Keepalived v2.2.7 (01/16,2022)' >&2 && exit 0\n" +
		"if grep -q 'virtual_router_id 99' \"$3\"; then printf '(line 3)\\nnot this\\033one'; exit 5; fi\n"
	s.Expect(os.WriteFile(program, []byte(script), 0o700)).To(Succeed())
	s.options = keepalived.Options{
		Program: program, ConfigFile: filepath.Join(dir, "keepalived.conf"), PIDFile: filepath.Join(dir, "pid"),
		Patience: 100 * time.Millisecond, Held: s.addresses,
		Strip: s.strip, Log: slog.New(slog.DiscardHandler),
	}
	signal.Notify(s.reloads, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(s.reloads) })
	s.run(os.Getpid())
	return s
}

func (s *stand) run(pid int) {
	s.Expect(os.WriteFile(s.options.PIDFile, []byte(strconv.Itoa(pid)+"\n"), 0o600)).To(Succeed())
}

func (s *stand) addresses() (map[netip.Addr]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := map[netip.Addr]string{}
	for a, i := range s.held {
		held[a] = i
	}
	return held, nil
}

func (s *stand) hold(addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addresses {
		s.held[netip.MustParseAddr(a)] = "eth0"
	}
}

func (s *stand) strip(_ context.Context, address netip.Addr, iface string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stripped = append(s.stripped, address.String()+" "+iface)
	if !s.sticky {
		delete(s.held, address)
	}
	return nil
}

func (s *stand) open() *keepalived.Keepalived {
	k, err := keepalived.New(s.options)
	s.Expect(err).NotTo(HaveOccurred())
	return k
}

func (s *stand) apply(t *testing.T, k *keepalived.Keepalived, plan lbapi.Plan) error {
	t.Helper()
	change, err := k.Prepare(t.Context(), plan)
	if err != nil {
		return err
	}
	return change.Commit(t.Context())
}

func (s *stand) file() string {
	text, err := os.ReadFile(s.options.ConfigFile)
	s.Expect(err).NotTo(HaveOccurred())
	return string(text)
}

func TestKeepalivedReloadsOnlyWhatIsNew(t *testing.T) {
	s := newStand(t)
	k := s.open()
	s.Expect(s.apply(t, k, newPlan())).To(Succeed())
	s.Eventually(s.reloads).Should(Receive())
	s.Expect(s.file()).To(ContainSubstring("192.0.2.10/32"))
	s.Expect(s.apply(t, k, newPlan(func(p *lbapi.Plan) { p.Frontends[0].Port++ }))).To(Succeed())
	s.Expect(s.apply(t, s.open(), newPlan())).To(Succeed(), "an agent that was restarted")
	s.Consistently(s.reloads, "50ms").ShouldNot(Receive())
}

func TestAFileThatIsRefusedChangesNothing(t *testing.T) {
	s := newStand(t)
	k := s.open()
	s.Expect(s.apply(t, k, newPlan())).To(Succeed())
	s.Eventually(s.reloads).Should(Receive())
	before := s.file()
	err := s.apply(t, k, newPlan(func(p *lbapi.Plan) { p.VIPs[0].VRID = 99 }))
	s.Expect(err).To(MatchError(HaveSuffix("refuses the configuration: (line 3) not this one")))
	s.Expect(s.file()).To(Equal(before))
	s.Consistently(s.reloads, "50ms").ShouldNot(Receive())
	s.Expect(filepath.Glob(s.dir + "/*.next")).To(BeEmpty())
}

func TestAKeepalivedThatIsAway(t *testing.T) {
	for name, pidFile := range map[string]string{"no file": "", "no number": "x", "a stranger": "1", "nobody": "4194305", "everybody": "-1"} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			k := s.open()
			first := s.file()
			s.Expect(os.WriteFile(s.options.PIDFile, []byte(pidFile), 0o600)).To(Succeed())
			s.Expect(k.Alive()).To(MatchError(ContainSubstring("keepalived does not run")))
			s.Expect(s.apply(t, k, newPlan())).To(MatchError(ContainSubstring("keepalived does not run")))
			s.Expect(s.file()).To(Equal(first), "the file is the one before")
			s.Expect(s.apply(t, k, lbapi.Plan{})).To(Succeed(), "nobody is missed who has nothing to do")
			s.Expect(s.reloads).NotTo(Receive())
		})
	}
}

// The master is not done with a reload before it has the VIPs; a standby will not
// have them.
func TestAMasterIsWaitedFor(t *testing.T) {
	s := newStand(t)
	k := s.open()
	more := newPlan(func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, vip("192.0.2.11")) })
	s.Expect(s.apply(t, k, more)).To(Succeed(), "standby")
	s.hold("192.0.2.10")
	s.Expect(s.apply(t, k, newPlan())).To(Succeed(), "master of what it has")
	s.Expect(s.apply(t, k, more)).To(MatchError(ContainSubstring(`not here yet are ["192.0.2.11"]`)))
	s.hold("192.0.2.11")
	s.Expect(s.apply(t, k, more)).To(Succeed())
}

// HAProxy listens for as long as clients are led here.
func TestAVIPThatIsGivenAwayIsWaitedFor(t *testing.T) {
	s := newStand(t)
	k := s.open()
	s.Expect(s.apply(t, k, newPlan(func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, vip("192.0.2.11")) }))).To(Succeed())
	s.hold("192.0.2.10", "192.0.2.11")
	s.sticky = true
	s.Expect(s.apply(t, k, newPlan())).To(MatchError(ContainSubstring(`not gone ["192.0.2.11"]`)))
	s.mu.Lock()
	delete(s.held, netip.MustParseAddr("192.0.2.11"))
	s.mu.Unlock()
	s.Expect(s.apply(t, k, newPlan())).To(Succeed())
}

// What keepalived runs with after a change that did not come to an end is not known,
// whatever its file says.
func TestAPlanThatIsPutBackIsLoadedAgain(t *testing.T) {
	for name, again := range map[string]func(*stand, *keepalived.Keepalived) *keepalived.Keepalived{
		"by the same agent":             func(_ *stand, k *keepalived.Keepalived) *keepalived.Keepalived { return k },
		"by an agent that is restarted": func(s *stand, _ *keepalived.Keepalived) *keepalived.Keepalived { return s.open() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			k := s.open()
			s.Expect(s.apply(t, k, newPlan())).To(Succeed())
			s.Eventually(s.reloads).Should(Receive())
			s.hold("192.0.2.10")
			before := s.file()
			more := newPlan(func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, vip("192.0.2.11")) })
			s.Expect(s.apply(t, k, more)).To(MatchError(ContainSubstring("has not settled")))
			s.Eventually(s.reloads).Should(Receive())
			s.Expect(s.file()).To(Equal(before))

			s.hold("192.0.2.11")
			k = again(s, k)
			s.Expect(s.apply(t, k, newPlan())).To(Succeed())
			s.Eventually(s.reloads).Should(Receive())
			s.Expect(s.stripped).To(Equal([]string{"192.0.2.11 eth0"}), "the VIP of the plan that failed")
			s.Expect(s.apply(t, k, newPlan())).To(Succeed())
			s.Consistently(s.reloads, "50ms").ShouldNot(Receive())
		})
	}
}

// A keepalived that was killed and started again does not know what it had.
func TestAVIPThatNobodyKnowsIsTakenAway(t *testing.T) {
	for name, pidFile := range map[string]string{"keepalived is back": "", "keepalived is away": "no number"} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			k := s.open()
			s.Expect(s.apply(t, k, newPlan())).To(Succeed())
			s.hold("192.0.2.10")
			if pidFile != "" {
				s.Expect(os.WriteFile(s.options.PIDFile, []byte(pidFile), 0o600)).To(Succeed())
			}
			s.Expect(s.apply(t, k, lbapi.Plan{})).To(Succeed())
			s.Expect(s.stripped).To(Equal([]string{"192.0.2.10 eth0"}))
			s.Expect(s.addresses()).To(Equal(map[netip.Addr]string{netip.MustParseAddr("192.0.2.2"): "eth0"}))
		})
	}
}

func TestVersion(t *testing.T) {
	s := newStand(t)
	s.Expect(s.open().Version(t.Context())).To(Equal("2.2.7"))
}

// TestKeepalivedTakesWhatIsRendered asks the real program. It looks for the
// interface, so the one that every machine has is given, and its complaint about
// that one alone is let pass.
func TestKeepalivedTakesWhatIsRendered(t *testing.T) {
	g := NewWithT(t)
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("keepalived is not installed: 'make test' installs it, or your system's package manager does")
	}
	text, err := keepalived.Render(keepalived.Settings{
		Probe: []string{"/bin/true", "probe"}, Own: func(netip.Addr) (string, error) { return "lo", nil },
	}, newPlan(func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, vip("192.0.2.11")) }))
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(t.TempDir(), "keepalived.conf")
	g.Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
	out, _ := exec.Command("keepalived", "-t", "-f", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		g.Expect(line).To(Or(ContainSubstring("cannot use a loopback interface"), ContainSubstring("Unknown interface!")), string(out))
	}
}
