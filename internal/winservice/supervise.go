package winservice

import (
	"context"
	"time"
)

// Control is what the service control manager asks of a service that runs.
type Control int

// The controls that the agent heeds.
const (
	ControlStop Control = iota
	ControlInterrogate
)

// Report is what a service says of itself.
type Report struct {
	State State
	// CheckPoint grows while the service is starting or stopping, and WaitHint is
	// within what time it will grow again: a service that lets that time pass is
	// taken for hung.
	CheckPoint uint32
	WaitHint   time.Duration
}

// ProgressEvery is how often a service that is starting or stopping says that it
// still is.
const ProgressEvery = 2 * time.Second

// progressHint leaves room for a host that is busy.
const progressHint = 15 * time.Second

// Supervision is how a service runs.
type Supervision struct {
	// Serve runs until ctx ends, calls ready once it serves, and returns its exit
	// code.
	Serve func(ctx context.Context, ready func()) int
	// Controls are what is asked of the service.
	Controls <-chan Control
	// Report tells the service control manager.
	Report func(Report)
	// Progress ticks at intervals of ProgressEvery.
	Progress <-chan time.Time
}

// Run runs the service to its end and returns its exit code. It is stopped by a
// control, and then waited for: what is under way is brought to where the journal
// has it.
func (s Supervision) Run(ctx context.Context) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan int, 1)
	go func() {
		ended <- s.Serve(ctx, func() { close(ready) })
	}()

	now := Report{State: Starting, CheckPoint: 1, WaitHint: progressHint}
	s.Report(now)
	for {
		select {
		case code := <-ended:
			return code
		case <-ready:
			ready = nil
			// It was stopped while it started: that it is ready means nothing any more.
			if now.State == Starting {
				now = Report{State: Running}
				s.Report(now)
			}
		case <-s.Progress:
			if now.State != Running {
				now.CheckPoint++
				s.Report(now)
			}
		case control := <-s.Controls:
			if control == ControlStop && now.State != Stopping {
				now = Report{State: Stopping, CheckPoint: 1, WaitHint: progressHint}
				stop()
			}
			s.Report(now)
		}
	}
}
