package haproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

var patience = haproxy.Patience{Absent: 300 * time.Millisecond, Still: 500 * time.Millisecond, Slow: 20 * time.Second}

func TestAnHAProxyThatStandsStillIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]func(*lab) int{
		"the worker":   (*lab).workerPID,
		"all of it":    func(l *lab) int { return -l.process.Process.Pid },
		"a new worker": func(l *lab) int { l.reload(); return l.workerPID() },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.Expect(haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)).To(Succeed())
			pid := stopped(l)
			worker := l.workerPID()
			l.Expect(haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)).To(Succeed())
			l.Expect(syscall.Kill(pid, syscall.SIGSTOP)).To(Succeed())
			// The signal is sent; a thread that runs on another processor may answer yet.
			l.eventually(func() ([]string, error) { return statesOf(worker) }).Should(HaveEach("T"))
			began := time.Now()
			err := haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)
			l.Expect(err).To(MatchError(ContainSubstring("HAProxy is there, and does nothing")))
			l.Expect(time.Since(began)).To(BeNumerically("<", patience.Slow/2))
			l.Expect(syscall.Kill(pid, syscall.SIGCONT)).To(Succeed())
			l.Expect(haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)).To(Succeed())
		})
	}
}

// workerPID is whom signals are sent to: never 0, which would be everybody.
func (l *lab) workerPID() int {
	l.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(l.worker(), "Pid:")))
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(pid).To(BeNumerically(">", 1))
	return pid
}

// statesOf returns the states of a process's threads, as ps has them.
func statesOf(pid int) ([]string, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	var states []string
	for _, thread := range threads {
		text, readErr := os.ReadFile(thread)
		err = errors.Join(err, readErr)
		if fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])); len(fields) > 0 {
			states = append(states, fields[0])
		}
	}
	return states, err
}

// reload makes a worker whose forerunner lives on, and does nothing.
func (l *lab) reload() {
	l.t.Helper()
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	l.holdOn(a)
	more := l.plan(a.Backend)
	more.Frontends[0].Check.Interval *= 2
	l.apply(more)
}

func TestAnHAProxyThatIsAwayIsWaitedForAsLongAsItTakesToStartIt(t *testing.T) {
	l := newLab(t)
	l.Expect(haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)).To(Succeed())
	l.kill()
	began := time.Now()
	l.Expect(haproxy.Await(t.Context(), l.path("haproxy.sock"), patience)).To(MatchError(syscall.ECONNREFUSED))
	l.Expect(time.Since(began)).To(And(BeNumerically(">", patience.Absent), BeNumerically("<", patience.Slow/2)))

	longer := patience
	longer.Absent = 20 * time.Second
	answered := make(chan error, 1)
	go func() { answered <- haproxy.Await(t.Context(), l.path("haproxy.sock"), longer) }()
	l.Consistently(answered, "100ms").ShouldNot(Receive())
	l.start()
	l.Eventually(answered, "10s").Should(Receive(BeNil()))
}

// busySocket is where a process listens that is another run of this test.
const busySocket = "HAPROXY_TEST_BUSY_SOCKET"

func TestAnHAProxyThatIsBusyHasLonger(t *testing.T) {
	if path := os.Getenv(busySocket); path != "" {
		beBusy(path)
	}
	l := newLab(t)
	path := l.path("busy.sock")
	busy := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnHAProxyThatIsBusyHasLonger$")
	busy.Env = append(os.Environ(), busySocket+"="+path)
	l.Expect(busy.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = busy.Process.Kill()
		_ = busy.Wait()
	})
	l.eventually(func() error { _, err := os.Stat(path); return err }).Should(Succeed())
	began := time.Now()
	waits := haproxy.Patience{Absent: 10 * time.Second, Still: 300 * time.Millisecond, Slow: 2 * time.Second}
	l.Expect(haproxy.Await(t.Context(), path, waits)).To(MatchError(ContainSubstring("timeout")))
	l.Expect(time.Since(began)).To(BeNumerically(">=", waits.Slow))
}

// beBusy listens, answers nobody, and works until it is killed, or nobody is left to do
// that.
func beBusy(path string) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	rounds := 0
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		rounds++
	}
	panic(fmt.Sprintf("nobody has ended it in %d rounds: %v", rounds, listener.Close()))
}

func TestStandingStillIsToHaveDoneNothingForLong(t *testing.T) {
	const enough = 2
	idle, busier, willing, other := haproxy.NewPulse(7, 100, false), haproxy.NewPulse(7, 101, false), haproxy.NewPulse(7, 100, true), haproxy.NewPulse(8, 100, false)
	for name, tt := range map[string]struct {
		looks []haproxy.Pulse
		still bool
	}{
		"it did nothing":                  {[]haproxy.Pulse{idle, idle, idle}, true},
		"not for long enough":             {[]haproxy.Pulse{idle, idle}, false},
		"it did something":                {[]haproxy.Pulse{idle, idle, busier, busier}, false},
		"it did something, and no more":   {[]haproxy.Pulse{idle, busier, busier, busier}, true},
		"it gets no processor":            {[]haproxy.Pulse{willing, willing, willing, willing}, false},
		"another one":                     {[]haproxy.Pulse{idle, idle, other, other}, false},
		"nothing is to be seen":           {[]haproxy.Pulse{{}, {}, {}, {}}, false},
		"nothing was to be seen meantime": {[]haproxy.Pulse{idle, idle, {}, idle, idle}, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(haproxy.StandsAfter(enough, tt.looks)).To(Equal(tt.still))
		})
	}
}
