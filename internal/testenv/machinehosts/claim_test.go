package machinehosts

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOneAtATimeHasHostsOnThisMachine(t *testing.T) {
	g := NewWithT(t)
	runDir := t.TempDir()
	first := New(Options{Dir: t.TempDir(), RunDir: runDir})
	second := New(Options{Dir: t.TempDir(), RunDir: runDir})
	g.Expect(first.takeMachine(t.Context())).To(Succeed())
	g.Expect(second.takeMachine(t.Context())).To(MatchError(ContainSubstring("on this machine already")))
	g.Expect(second.Held()).To(BeFalse())
	g.Expect(second.TearDown(t.Context())).To(Succeed())
	g.Expect(first.Held()).To(BeTrue())
	g.Expect(os.ReadFile(filepath.Join(runDir, "folder"))).To(BeEquivalentTo(first.Dir+"\n"), "it is found should the first be killed")

	g.Expect(first.TearDown(t.Context())).To(Succeed())
	g.Expect(first.Held()).To(BeFalse())
	g.Expect(os.ReadFile(filepath.Join(runDir, "folder"))).To(BeEmpty(), "nothing is left of it")
	g.Expect(second.takeMachine(t.Context())).To(Succeed())
	g.Expect(second.leaveMachine()).To(Succeed())
}

// ownNetwork keeps the test's bridges away from hosts that others have on this machine.
func ownNetwork(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this needs root: hosts are mounts, control groups and network interfaces")
	}
	// The thread is never given back, and ends with the test.
	runtime.LockOSThread()
	NewWithT(t).Expect(syscall.Unshare(syscall.CLONE_NEWNET)).To(Succeed())
}

func mounts(g *WithT) string {
	text, err := os.ReadFile("/proc/self/mounts")
	g.Expect(err).NotTo(HaveOccurred())
	return string(text)
}

func TestWhatAKilledOneLeftElsewhereIsTakenOffTheMachine(t *testing.T) {
	ownNetwork(t)
	g := NewWithT(t)
	runDir, host := t.TempDir(), "t"+strings.ToLower(rand.Text()[:7])
	killed := New(Options{Dir: t.TempDir(), RunDir: runDir})
	g.Expect(killed.takeMachine(t.Context())).To(Succeed())
	g.Expect(killed.Boot(host)).To(Succeed())
	t.Cleanup(func() {
		if t.Failed() {
			g.Expect(killed.Remove(context.WithoutCancel(t.Context()), host)).To(Succeed())
		}
	})
	driver, err := killed.driver(t.Context(), host)
	g.Expect(err).NotTo(HaveOccurred())
	// What a process has open goes with it. The rest stays.
	g.Expect(driver.Close()).To(Succeed())
	g.Expect(killed.claim.Close()).To(Succeed())
	g.Expect(mounts(g)).To(ContainSubstring(killed.Dir))

	next := New(Options{Dir: t.TempDir(), RunDir: runDir})
	g.Expect(next.takeMachine(t.Context())).To(Succeed())
	g.Expect(mounts(g)).NotTo(ContainSubstring(killed.Dir))
	g.Expect(filepath.Join(killed.Dir, host)).NotTo(BeADirectory())
	g.Expect(next.known()).To(BeEmpty())
	g.Expect(next.TearDown(t.Context())).To(Succeed())
}
