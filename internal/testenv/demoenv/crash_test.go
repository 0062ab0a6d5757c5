package demoenv

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestAProcessThatCrashesIsStartedAgain(t *testing.T) {
	g := NewWithT(t)
	e, err := New(Options{Dir: t.TempDir(), Args: map[string][]string{"sleeper": {"600"}}})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(e.Stop()).To(Succeed()) }()
	first, err := e.run("sleeper", "/bin/sleep")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(e.Crash("sleeper")).To(Succeed())
	g.Expect(first.Done()).To(BeClosed())
	g.Expect(e.Processes()).To(HaveLen(1))
	second := e.Processes()[0]
	g.Expect(second.PID()).NotTo(Equal(first.PID()))
	g.Expect(second.Args).To(Equal([]string{"600"}), "as it was started before")
	g.Expect(e.Failed()).NotTo(Receive(), "nobody takes that for a failure")
}

func TestAProcessThatIsHaltedStaysSoUntilItIsResumed(t *testing.T) {
	g := NewWithT(t)
	e, err := New(Options{Dir: t.TempDir(), Args: map[string][]string{"sleeper": {"600"}}})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(e.Stop()).To(Succeed()) }()
	first, err := e.run("sleeper", "/bin/sleep")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(e.Halt("sleeper")).To(BeTrue())
	g.Expect(first.Done()).To(BeClosed())
	g.Expect(e.Processes()).To(Equal([]*Process{first}), "nobody has started it again")
	g.Expect(e.Resume("sleeper")).To(Succeed())
	g.Expect(e.Processes()[0].Done()).NotTo(BeClosed())
	g.Expect(e.Processes()[0].Args).To(Equal([]string{"600"}), "as it was started before")
	g.Expect(e.Failed()).NotTo(Receive(), "nobody takes that for a failure")
}
