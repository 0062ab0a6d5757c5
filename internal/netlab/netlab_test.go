package netlab_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/netlab"
)

func TestMain(m *testing.M) { netlab.Main(m) }

// world is two nodes on a switch.
type world struct {
	*WithT
	t    *testing.T
	lab  *netlab.Lab
	a, b *netlab.Node
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t}
	w.SetDefaultEventuallyTimeout(10 * time.Second)
	lab, err := netlab.New(netip.MustParsePrefix("192.0.2.0/24"), netip.MustParseAddr("192.0.2.1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.lab = lab
	t.Cleanup(func() { w.Expect(lab.Close()).To(Succeed()) })
	w.a, err = lab.NewNode("a", netip.MustParseAddr("192.0.2.2"))
	w.Expect(err).NotTo(HaveOccurred())
	w.b, err = lab.NewNode("b", netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.4"))
	w.Expect(err).NotTo(HaveOccurred())
	return w
}

// hears counts the frames that have come to a node's link.
func (w *world) hears(n *netlab.Node) func() int {
	return func() int {
		out, err := n.Command(w.t.Context(), "cat", "/sys/class/net/"+netlab.NIC+"/statistics/rx_packets").Output()
		w.Expect(err).NotTo(HaveOccurred())
		count := 0
		_, err = fmt.Sscan(string(out), &count)
		w.Expect(err).NotTo(HaveOccurred())
		return count
	}
}

// reaches tells whether a node has an answer from another's kernel.
func (w *world) reaches(from, to *netlab.Node) func() bool {
	return func() bool {
		// A neighbour that was heard of before would count as reached.
		_ = from.Command(w.t.Context(), "ip", "neighbour", "flush", "dev", netlab.NIC).Run()
		script := fmt.Sprintf("exec 3<>/dev/tcp/%s/9", to.Address)
		out, _ := from.Command(w.t.Context(), "timeout", "0.3", "bash", "-c", script).CombinedOutput()
		return strings.Contains(string(out), "refused")
	}
}

func TestNodesReachEachOtherUntilALeverIsPulled(t *testing.T) {
	w := newWorld(t)
	w.Eventually(w.reaches(w.a, w.b)).Should(BeTrue())
	for name, lever := range map[string]struct{ pull, push func() error }{
		"cut":     {w.b.Cut, w.b.Uncut},
		"unplug":  {w.b.Unplug, w.b.Plug},
		"mute":    {func() error { return w.b.Mute(100) }, w.b.Unmute},
		"deafen":  {func() error { return w.b.Deafen(100) }, w.b.Undeafen},
		"muted a": {func() error { return w.a.Mute(100) }, w.a.Unmute},
	} {
		w.Expect(lever.pull()).To(Succeed(), name)
		w.Expect(w.reaches(w.a, w.b)()).To(BeFalse(), name)
		w.Expect(lever.push()).To(Succeed(), name)
		w.Eventually(w.reaches(w.a, w.b)).Should(BeTrue(), name)
	}
}

func TestWhoeverGetsAnAddressIsKnownToHaveItAtOnce(t *testing.T) {
	w := newWorld(t)
	shared := netip.MustParseAddr("192.0.2.5")
	asks := func() bool {
		script := fmt.Sprintf("exec 3<>/dev/tcp/%s/9", shared)
		out, _ := w.a.Command(t.Context(), "timeout", "0.3", "bash", "-c", script).CombinedOutput()
		return strings.Contains(string(out), "refused")
	}
	for range 2 {
		c, err := w.lab.NewNode("c", shared)
		w.Expect(err).NotTo(HaveOccurred())
		w.Eventually(asks).WithTimeout(2*time.Second).Should(BeTrue(), "at a node")
		w.Expect(c.Remove()).To(Succeed())
		w.Expect(asks()).To(BeFalse())
		w.Expect(w.lab.Take(shared)).To(Succeed())
		w.Eventually(asks).WithTimeout(2*time.Second).Should(BeTrue(), "at the switch")
		w.Expect(w.lab.Leave(shared)).To(Succeed())
	}
}

func TestWhoIsMutedStillHears(t *testing.T) {
	w := newWorld(t)
	w.Eventually(w.reaches(w.a, w.b)).Should(BeTrue())
	w.Expect(w.b.Mute(100)).To(Succeed())
	heard := w.hears(w.b)()
	w.Expect(w.reaches(w.a, w.b)()).To(BeFalse())
	w.Expect(w.hears(w.b)()).To(BeNumerically(">", heard))
}

func TestAServiceIsStartedAgainWithNothingLeftOfItsLastRun(t *testing.T) {
	w := newWorld(t)
	s, err := w.a.Supervise("sleeper", "bash", "-c", "sleep 1000 & sleep 1001")
	w.Expect(err).NotTo(HaveOccurred())
	sleepers := func() ([]int, error) { return w.a.Processes("sleep") }
	w.Eventually(sleepers).Should(HaveLen(2))
	first, err := sleepers()
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.a.Kill("bash")).To(Succeed())
	w.Eventually(s.Starts).Should(Equal(int64(2)))
	w.Eventually(sleepers).Should(And(HaveLen(2), Not(ContainElements(first))))
	w.Expect(w.b.Processes("")).To(BeEmpty(), "what runs on one node is not on another")

	s.Stop()
	w.Eventually(sleepers).Should(BeEmpty())
	w.Expect(w.a.Kill("sleep")).To(MatchError(ContainSubstring("does not run")))
}

func TestAFrozenNodeGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	ticks := filepath.Join(w.a.Run(), "ticks")
	_, err := w.a.Supervise("clock", "bash", "-c", "while true; do echo >> "+ticks+"; sleep 0.01; done")
	w.Expect(err).NotTo(HaveOccurred())
	size := func() int64 {
		info, err := os.Stat(ticks)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	w.Eventually(size).Should(BeNumerically(">", 3))
	w.Expect(w.a.Freeze()).To(Succeed())
	frozen := size()
	w.Consistently(size).WithTimeout(200 * time.Millisecond).Should(Equal(frozen))
	w.Expect(w.a.Thaw()).To(Succeed())
	w.Eventually(size).Should(BeNumerically(">", frozen+3))
}

func TestAPowerFailureLeavesTheDiskAlone(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{w.b.Disk(), w.b.Run()} {
		w.Expect(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)).To(Succeed())
	}
	s, err := w.b.Supervise("sleeper", "sleep", "1000")
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(s.Starts).Should(Equal(int64(1)))
	extra := netip.MustParseAddr("192.0.2.9")
	w.Expect(w.b.Command(t.Context(), "ip", "address", "add", extra.String()+"/32", "dev", netlab.NIC).Run()).To(Succeed())
	w.Expect(w.b.Holds(extra)).To(BeTrue())

	w.Expect(w.b.PowerOff()).To(Succeed())
	w.Expect(w.reaches(w.a, w.b)()).To(BeFalse())
	w.Expect(w.b.Holds(w.b.Address)).To(BeFalse())
	w.Expect(w.b.PowerOn(func() error { return w.b.Sysctl("net.ipv4.ip_nonlocal_bind", "1") })).To(Succeed())
	w.Eventually(s.Starts).Should(Equal(int64(2)))
	w.Eventually(w.reaches(w.a, w.b)).Should(BeTrue())
	w.Expect(w.b.Holds(extra)).To(BeFalse(), "what was not configured is gone")
	w.Expect(filepath.Join(w.b.Disk(), "file")).To(BeAnExistingFile())
	w.Expect(filepath.Join(w.b.Run(), "file")).NotTo(BeAnExistingFile())
	setting, err := w.b.Command(t.Context(), "cat", "/proc/sys/net/ipv4/ip_nonlocal_bind").Output()
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(setting)).To(Equal("1\n"))
}
