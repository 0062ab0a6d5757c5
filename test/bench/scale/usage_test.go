package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestUsageIsReadWhateverAProgramIsCalled(t *testing.T) {
	g := NewWithT(t)
	stat := "42 (a) b 7 (x) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 9 0 100 1000 10 18446744073709551615"
	status := "Name:\tx\nVmPeak:\t 9999 kB\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nThreads:\t9\n"
	g.Expect(parseUsage(stat, status)).To(Equal(usage{cpu: 3 * time.Second, rssMiB: 100, peakMiB: 200}))
}

func TestWhatIsNoProcessIsNoUsage(t *testing.T) {
	_, err := parseUsage("42 (x) S 1", "")
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("/proc/PID/stat")))
}

func TestOwnUsageIsRead(t *testing.T) {
	g := NewWithT(t)
	all, err := usageOf(nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(all).To(HaveKey("scale"))
	g.Expect(all["scale"].peakMiB).To(BeNumerically(">", 0))
}
