package haproxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

// carryOutSteps changes servers through the runtime API.
func (h *HAProxy) carryOutSteps(ctx context.Context, steps []Step) error {
	var leaving []ID
	for _, step := range steps {
		var err error
		switch s := step.Server; step.Action {
		case Add:
			err = h.add(ctx, s)
		case Move:
			err = h.move(ctx, s)
		case Enable:
			err = h.enable(ctx, s)
		case Weigh:
			err = h.set(ctx, s.ID, "weight", strconv.Itoa(s.Weight))
		case Remove:
			leaving = append(leaving, s.ID)
			err = h.set(ctx, s.ID, "weight", "0")
		}
		if err != nil {
			return fmt.Errorf("%s server %s: %w", step.Action, step.Server.ID, err)
		}
	}
	return h.remove(ctx, leaving)
}

// do gives the worker a command that says nothing when it succeeds.
func (h *HAProxy) do(ctx context.Context, words ...string) error {
	return socket(h.opts.Socket).must(ctx, nil, words...)
}

func (h *HAProxy) set(ctx context.Context, id ID, words ...string) error {
	return h.do(ctx, append([]string{"set", "server", id.String()}, words...)...)
}

// add makes a server with no weight: it gets its weight when it is known to be
// down until a check finds it well, so that no connection is its first check.
func (h *HAProxy) add(ctx context.Context, s Server) error {
	err := socket(h.opts.Socket).must(ctx, []string{"New server registered"}, append([]string{"add", "server", s.String()}, s.words(0)...)...)
	if err != nil {
		return err
	}
	return h.enable(ctx, s)
}

// enable puts a server to work that is in maintenance, as new ones are.
func (h *HAProxy) enable(ctx context.Context, s Server) error {
	if err := h.do(ctx, "enable", "health", s.String()); err != nil {
		return err
	}
	if err := h.do(ctx, "enable", "server", s.String()); err != nil {
		return err
	}
	if s.Doubtful {
		if err := h.set(ctx, s.ID, "health", "down"); err != nil {
			return err
		}
	}
	return h.set(ctx, s.ID, "weight", strconv.Itoa(s.Weight))
}

// move keeps the connections that the server has at its old port.
func (h *HAProxy) move(ctx context.Context, s Server) error {
	if s.Doubtful {
		if err := h.set(ctx, s.ID, "health", "down"); err != nil {
			return err
		}
	}
	return socket(h.opts.Socket).must(ctx, []string{"changed from", "no need to change"},
		"set", "server", s.String(), "addr", s.Address.Addr().String(), "port", strconv.Itoa(int(s.Address.Port())))
}

// remove deletes servers that get nothing new any more, in every worker that may
// know them.
func (h *HAProxy) remove(ctx context.Context, leaving []ID) error {
	if len(leaving) == 0 {
		return nil
	}
	h.finish(ctx, leaving)
	for _, id := range leaving {
		if err := h.set(ctx, id, "state", "maint"); err != nil {
			return fmt.Errorf("remove server %s: %w", id, err)
		}
	}
	if err := h.cut(ctx, leaving); err != nil {
		return err
	}
	for _, id := range leaving {
		if err := h.delete(ctx, id); err != nil {
			return fmt.Errorf("remove server %s: %w", id, err)
		}
	}
	return nil
}

// finish waits until the servers have no connections in any worker, for as long as
// they are granted. A worker that does not answer now may answer at the next look.
func (h *HAProxy) finish(ctx context.Context, leaving []ID) {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Grace)
	defer cancel()
	for {
		sessions, err := h.sessions(ctx, leaving)
		if err == nil && sessions == 0 || !daemon.Pause(ctx) {
			return
		}
	}
}

func (h *HAProxy) sessions(ctx context.Context, of []ID) (int64, error) {
	procs, err := h.processes(ctx)
	if err != nil {
		return 0, err
	}
	var sessions int64
	for _, pid := range append(procs.old, procs.worker) {
		stats, err := h.statOf(ctx, pid)
		if err != nil {
			return 0, err
		}
		for _, id := range of {
			sessions += stats[id].Sessions
		}
	}
	return sessions, nil
}

// Cut ends all connections to servers, in every worker that may have some.
func (h *HAProxy) Cut(ctx context.Context, servers []ID) error {
	defer h.old.forget()
	if err := h.cut(ctx, servers); err != nil {
		return fmt.Errorf("end connections to servers %s: %w", servers, err)
	}
	return nil
}

// cut ends the connections that are left.
func (h *HAProxy) cut(ctx context.Context, leaving []ID) error {
	for _, id := range leaving {
		if err := h.do(ctx, "shutdown", "sessions", "server", id.String()); err != nil {
			return err
		}
	}
	return h.cutOld(ctx, leaving)
}

// cutOld ends the connections that are left in workers which were replaced. Their
// proxies are disabled and take no commands: each session is ended by itself.
func (h *HAProxy) cutOld(ctx context.Context, leaving []ID) error {
	procs, err := h.awaitProcesses(ctx)
	if err != nil {
		return err
	}
	for _, pid := range procs.old {
		// A worker that does not answer has ended, and its connections with it.
		answer, err := h.inWorker(ctx, pid, "show", "sess")
		if err != nil {
			continue
		}
		for _, session := range sessionsOf(answer, leaving) {
			_, _ = h.inWorker(ctx, pid, "shutdown", "session", session)
		}
	}
	return nil
}

// sessionsOf reads the answer to "show sess" and returns the sessions to the given
// servers.
func sessionsOf(text string, servers []ID) []string {
	wanted := make(map[ID]bool, len(servers))
	for _, id := range servers {
		wanted[id] = true
	}
	var sessions []string
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		var to ID
		for field := range strings.FieldsSeq(rest) {
			if backend, ok := strings.CutPrefix(field, "be="); ok {
				to.Backend = backend
			} else if server, ok := strings.CutPrefix(field, "srv="); ok {
				to.Name = server
			}
		}
		if wanted[to] {
			sessions = append(sessions, name)
		}
	}
	return sessions
}

// delete tries again while connections that were cut are being closed.
func (h *HAProxy) delete(ctx context.Context, id ID) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := socket(h.opts.Socket).must(ctx, []string{"Server deleted"}, "del", "server", id.String())
		if err == nil || !daemon.Pause(ctx) {
			return err
		}
	}
}
