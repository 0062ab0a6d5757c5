package winservice_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// agent is what the service runs, led by hand.
type agent struct {
	listens, stopped chan struct{}
	end              chan int
}

func (a agent) serve(ctx context.Context, ready func()) int {
	for {
		select {
		case <-a.listens:
			ready()
		case <-ctx.Done():
			close(a.stopped)
			return <-a.end
		case code := <-a.end:
			return code
		}
	}
}

// supervised is a service that is run, and what a service control manager sees.
type supervised struct {
	agent
	controls chan winservice.Control
	progress chan time.Time
	reports  chan winservice.Report
	exit     chan int
}

func supervise(t *testing.T) supervised {
	t.Helper()
	s := supervised{
		agent:    agent{listens: make(chan struct{}), stopped: make(chan struct{}), end: make(chan int)},
		controls: make(chan winservice.Control), progress: make(chan time.Time), reports: make(chan winservice.Report, 1), exit: make(chan int, 1),
	}
	go func() {
		s.exit <- winservice.Supervision{
			Serve: s.serve, Controls: s.controls, Progress: s.progress, Report: func(r winservice.Report) { s.reports <- r },
		}.Run(context.WithoutCancel(t.Context()))
	}()
	return s
}

func TestAServiceRunsFromWhenItListensAndDrainsBeforeItEnds(t *testing.T) {
	g := NewWithT(t)
	s := supervise(t)
	first := <-s.reports
	g.Expect(first).To(And(HaveField("State", winservice.Starting), HaveField("CheckPoint", uint32(1))))
	g.Expect(first.WaitHint).To(BeNumerically(">", winservice.ProgressEvery), "Windows takes it for hung otherwise")
	s.progress <- time.Time{}
	g.Expect(<-s.reports).To(And(HaveField("State", winservice.Starting), HaveField("CheckPoint", uint32(2))))

	s.listens <- struct{}{}
	g.Expect(<-s.reports).To(Equal(winservice.Report{State: winservice.Running}))
	s.progress <- time.Time{}
	s.controls <- winservice.ControlInterrogate
	g.Expect(<-s.reports).To(Equal(winservice.Report{State: winservice.Running}), "a service that runs has no progress to tell")

	s.controls <- winservice.ControlStop
	g.Expect(<-s.reports).To(And(HaveField("State", winservice.Stopping), HaveField("CheckPoint", uint32(1))))
	<-s.stopped
	for _, checkPoint := range []uint32{2, 3} {
		s.progress <- time.Time{}
		g.Expect(<-s.reports).To(And(HaveField("State", winservice.Stopping), HaveField("CheckPoint", checkPoint)))
	}
	s.controls <- winservice.ControlStop
	g.Expect(<-s.reports).To(HaveField("CheckPoint", uint32(3)), "it is stopping already")
	s.end <- 0
	g.Expect(<-s.exit).To(Equal(0))
}

func TestAServiceThatIsStoppedWhileItStartsIsNeverSaidToRun(t *testing.T) {
	g := NewWithT(t)
	s := supervise(t)
	<-s.reports
	s.controls <- winservice.ControlStop
	g.Expect(<-s.reports).To(HaveField("State", winservice.Stopping))
	<-s.stopped
	s.progress <- time.Time{}
	g.Expect(<-s.reports).To(HaveField("State", winservice.Stopping))
	s.end <- 0
	g.Expect(<-s.exit).To(Equal(0))
}

func TestAServiceThatFailsEndsWithItsCode(t *testing.T) {
	g := NewWithT(t)
	s := supervise(t)
	<-s.reports
	s.end <- 1
	g.Expect(<-s.exit).To(Equal(1), "so that Windows starts it again")
}
