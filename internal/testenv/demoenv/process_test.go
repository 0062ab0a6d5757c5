package demoenv

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const patience = 20 * time.Second

// orphanEnv makes the test binary a parent that only starts a process, tells its
// PID and waits to be killed.
const orphanEnv = "DEMOENV_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(orphanEnv); dir != "" {
		p, err := newSupervisor(dir).start(sleeper())
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString(strconv.Itoa(p.PID()) + "\n")
		select {}
	}
	os.Exit(m.Run())
}

func sleeper() Program { return Program{Name: "sleeper", Path: "/bin/sleep", Args: []string{"600"}} }

func logsDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	NewWithT(t).Expect(os.Mkdir(dir+"/logs", 0o700)).To(Succeed())
	return dir
}

// alive tells whether a process is there and is no zombie that nobody waits for.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestProcessesDieWithTheirParent(t *testing.T) {
	g := NewWithT(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), orphanEnv+"="+logsDir(t))
	out, err := parent.StdoutPipe()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(parent.Start()).To(Succeed())
	line, err := bufio.NewReader(out).ReadString('\n')
	g.Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alive(pid)).To(BeTrue())

	g.Expect(parent.Process.Kill()).To(Succeed())
	_ = parent.Wait()
	g.Eventually(func() bool { return alive(pid) }, patience).Should(BeFalse())
}

func TestAKilledProcessIsNoFailure(t *testing.T) {
	g := NewWithT(t)
	s := newSupervisor(logsDir(t))
	p, err := s.start(sleeper())
	g.Expect(err).NotTo(HaveOccurred())
	p.Kill()
	g.Expect(p.Done()).To(BeClosed())
	g.Expect(alive(p.PID())).To(BeFalse())
	g.Expect(s.failed).NotTo(Receive())
}

func TestAProcessThatIgnoresTheSignalIsKilled(t *testing.T) {
	g := NewWithT(t)
	dir := logsDir(t)
	s := newSupervisor(dir)
	p, err := s.start(Program{Name: "stubborn", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo up; while :; do sleep 600; done"}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() string { return tail(dir+"/logs/stubborn.log", 1) }, patience).Should(Equal("up"))
	p.Stop(time.Millisecond)
	g.Expect(alive(p.PID())).To(BeFalse())
}

func TestAProcessThatEndsByItselfIsReportedWithItsLog(t *testing.T) {
	g := NewWithT(t)
	s := newSupervisor(logsDir(t))
	_, err := s.start(Program{Name: "broken", Path: "/bin/sh", Args: []string{"-c", "echo no configuration >&2; exit 3"}})
	g.Expect(err).NotTo(HaveOccurred())
	var failure error
	g.Eventually(s.failed, patience).Should(Receive(&failure))
	g.Expect(failure).To(MatchError(And(ContainSubstring("broken: exit status 3"), ContainSubstring("no configuration"))))
}

func TestSignalsOfTheTerminalDoNotReachProcesses(t *testing.T) {
	g := NewWithT(t)
	p, err := newSupervisor(logsDir(t)).start(sleeper())
	g.Expect(err).NotTo(HaveOccurred())
	defer p.Kill()
	group, err := syscall.Getpgid(p.PID())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(group).To(Equal(p.PID()))
}
