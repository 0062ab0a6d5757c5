package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

// Patience is how long an HAProxy may leave a question open before it is given up.
type Patience struct {
	// Absent is for one whose socket nobody listens on: whoever runs it starts it again.
	Absent time.Duration
	// Still is for one that is there and does nothing at all, because it was stopped or
	// waits for something that does not come.
	Still time.Duration
	// Slow is for one that is there and busy, or that waits for its turn.
	Slow time.Duration
}

// errStill is for an HAProxy that is there and will not answer.
var errStill = errors.New("HAProxy is there, and does nothing")

// Await waits until an HAProxy answers on its runtime socket, for as long as the
// patience is.
func Await(ctx context.Context, path string, patience Patience) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Slow)
	defer cancel()
	began := time.Now()
	for {
		err := pingUnlessStill(ctx, path, patience.Still)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errStill):
			return err
		case !there(err) && time.Since(began) > patience.Absent:
			return err
		case !daemon.Pause(ctx):
			return err
		}
	}
}

// there tells whether somebody listens who has not answered: he takes his time, or the
// queue before him is full.
func there(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.EAGAIN)
}

func pingUnlessStill(ctx context.Context, path string, still time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		w := &watch{look: func() (pulse, error) { return pulseBehind(ctx, path) }, enough: int(still / lookInterval)}
		if w.untilStill(ctx) {
			cancel(errStill)
		}
	}()
	err := Ping(ctx, path)
	stands := errors.Is(context.Cause(ctx), errStill)
	cancel(nil)
	<-watched
	if err != nil && stands {
		return fmt.Errorf("%w: %w", errStill, err)
	}
	return err
}

// lookInterval is how often an HAProxy is looked at that has not answered.
const lookInterval = 100 * time.Millisecond

// watch looks at an HAProxy that has been asked something.
type watch struct {
	look func() (pulse, error)
	// enough is how many times in a row it may be found to have done nothing. Looks are
	// counted, and not time: when the whole machine was paused, time has passed in which
	// nobody could do anything.
	enough int

	seen  pulse
	still int
}

// untilStill returns true when it stands still, and false when ctx ends before.
func (w *watch) untilStill(ctx context.Context) bool {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if w.stands() {
				return true
			}
		}
	}
}

// stands looks once more. What cannot be looked at is not known to stand still.
func (w *watch) stands() bool {
	now, err := w.look()
	if err == nil && !now.willing && now == w.seen {
		w.still++
	} else {
		w.still = 0
	}
	w.seen = now
	return w.still >= w.enough
}
