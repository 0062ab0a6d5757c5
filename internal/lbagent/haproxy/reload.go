package haproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

// reload has HAProxy load its file in a new worker, which goes on where the old one
// was: with the listening sockets and with what was known of servers. The old one
// carries on with the connections that it has.
func (h *HAProxy) reload(ctx context.Context, next Rendering) error {
	before, err := h.awaitProcesses(ctx)
	if err != nil {
		return err
	}
	if wait := spacing(len(before.old)); wait > 0 {
		h.opts.Log.Info("waiting with a reload: many replaced workers still have connections", "workers", len(before.old), "seconds", wait.Seconds())
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	running, err := h.servers(ctx)
	if err != nil {
		return err
	}
	state, err := stateFor(running, next.Servers)
	if err != nil {
		return err
	}
	if err := daemon.ReplaceFile(h.opts.StateFile, state); err != nil {
		return fmt.Errorf("write state of servers: %w", err)
	}
	// The answer is cut off when the master replaces itself.
	_, asked := socket(h.opts.MasterSocket).ask(ctx, "reload")
	if err := h.awaitWorker(ctx, before, next.Shape, asked); err != nil {
		return err
	}
	// What was true at this moment must not be believed by an HAProxy that starts
	// another day.
	if err := h.forgetState(); err != nil {
		return err
	}
	return h.release(ctx, running, next)
}

// spacing returns how long a reload is put off. Each costs the memory of one more worker
// for as long as a connection of the one before it lasts, and brings the oldest worker
// nearer to its end. Whatever changes meanwhile comes with the next reload.
func spacing(old int) time.Duration {
	const (
		many = 64
		each = 250 * time.Millisecond
		most = 10 * time.Second
	)
	return min(max(0, time.Duration(old-many)*each), most)
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// awaitWorker waits until a new worker has the shape, or is known not to come.
func (h *HAProxy) awaitWorker(ctx context.Context, before processes, shape string, asked error) error {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Patience)
	defer cancel()
	for {
		now, err := h.processes(ctx)
		switch {
		case err != nil: // The master is replacing itself.
		case now.failed > before.failed:
			return errors.New("HAProxy could not load the configuration that it had found no fault with; is an address taken? Its own log says")
		case now.worker != 0 && now.worker != before.worker:
			info, infoErr := h.info(ctx)
			if infoErr == nil && info["description"] == shape {
				return nil
			}
			err = errors.Join(infoErr, fmt.Errorf("worker %d has configuration %.40q", now.worker, info["description"]))
		default:
			err = fmt.Errorf("worker %d has not been replaced", now.worker)
		}
		if !daemon.Pause(ctx) {
			return fmt.Errorf("HAProxy has no worker with the new configuration yet: %w", errors.Join(ctx.Err(), err, asked))
		}
	}
}

// release ends what old workers still carry to servers that are not in the
// configuration any more, although their backend is. A backend that has gone as a
// whole keeps its connections.
func (h *HAProxy) release(ctx context.Context, running []Running, next Rendering) error {
	var leaving []ID
	stays := idsOf(next.Servers)
	for _, r := range running {
		if !stays[r.ID] && next.Backends[r.Backend] {
			leaving = append(leaving, r.ID)
		}
	}
	if len(leaving) == 0 {
		return nil
	}
	h.finish(ctx, leaving)
	return h.cutOld(ctx, leaving)
}
