package demoenv

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// life is a program of which each start is recorded.
type life struct {
	*restarts
	now    time.Time
	starts int
	lines  []string
	fail   error
}

func newLife() *life {
	l := &life{now: time.Unix(0, 0)}
	l.restarts = &restarts{
		now: func() time.Time { return l.now }, short: map[string]int{}, report: func(line string) { l.lines = append(l.lines, line) },
		again: func(*Process) error { l.starts++; return l.fail },
	}
	return l
}

func (l *life) endAfter(d time.Duration) error {
	p := &Process{Program: Program{Name: managerName}, started: l.now}
	l.now = l.now.Add(d)
	return l.ended(p, errors.New("signal: killed"))
}

func TestAProgramThatIsKilledIsStartedAgain(t *testing.T) {
	g := NewWithT(t)
	l := newLife()
	for range 10 {
		g.Expect(l.endAfter(time.Minute)).To(Succeed())
	}
	g.Expect(l.starts).To(Equal(10))
	g.Expect(l.lines).To(HaveEach("manager has ended (signal: killed) and is started again"))
}

func TestAProgramThatDoesNotStayUpIsGivenUp(t *testing.T) {
	g := NewWithT(t)
	l := newLife()
	for range shortLives {
		g.Expect(l.endAfter(time.Second)).To(Succeed())
	}
	g.Expect(l.endAfter(time.Second)).To(MatchError(ContainSubstring("did not stay up: signal: killed")))
	g.Expect(l.starts).To(Equal(shortLives))
}

func TestALongLifeIsAFreshStart(t *testing.T) {
	g := NewWithT(t)
	l := newLife()
	for range 2 {
		for range shortLives - 1 {
			g.Expect(l.endAfter(time.Second)).To(Succeed())
		}
		g.Expect(l.endAfter(time.Minute)).To(Succeed())
	}
}

func TestNothingIsStartedOnceTheEnvironmentStops(t *testing.T) {
	g := NewWithT(t)
	l := newLife()
	l.fail = errStopped
	g.Expect(l.endAfter(time.Minute)).To(Succeed())
	g.Expect(l.lines).To(BeEmpty())
	l.fail = errors.New("no such file")
	g.Expect(l.endAfter(time.Minute)).To(MatchError(ContainSubstring("no such file")))
}

func TestWhoeverIsToldOfAnEndDecidesWhetherItIsAFailure(t *testing.T) {
	for name, verdict := range map[string]error{"no failure": nil, "a failure": errors.New("given up")} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSupervisor(logsDir(t))
			told := make(chan error, 1)
			p, err := s.start(Program{Name: "short", Path: "/bin/sh", Args: []string{"-c", "exit 3"}, ended: func(_ *Process, cause error) error {
				told <- cause
				return verdict
			}})
			g.Expect(err).NotTo(HaveOccurred())
			g.Eventually(told).WithTimeout(patience).Should(Receive(MatchError("exit status 3")))
			g.Eventually(p.Done()).WithTimeout(patience).Should(BeClosed())
			if verdict == nil {
				g.Consistently(s.failed, 50*time.Millisecond).ShouldNot(Receive())
				return
			}
			g.Eventually(s.failed).WithTimeout(patience).Should(Receive(MatchError(ContainSubstring("short: given up"))))
		})
	}
}
