package haproxy

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// CutUnanswered ends those connections to servers that clients began less than some time
// ago and on which no server has said anything yet, and returns how many there were.
func (h *HAProxy) CutUnanswered(ctx context.Context, servers []ID, within time.Duration) (ended int, err error) {
	procs, err := h.awaitProcesses(ctx)
	if err != nil {
		return 0, fmt.Errorf("end connections that servers %s do not answer: %w", servers, err)
	}
	for _, pid := range append(procs.old, procs.worker) {
		// A worker that does not answer has ended, and its connections with it.
		list, err := h.inWorker(ctx, pid, "show", "sess")
		if err != nil {
			continue
		}
		for _, session := range sessionsOf(youngIn(list, within), servers) {
			detail, err := h.inWorker(ctx, pid, "show", "sess", session)
			if err != nil || !isUnanswered(detail, servers) {
				continue
			}
			if _, err := h.inWorker(ctx, pid, "shutdown", "session", session); err == nil {
				ended++
			}
		}
	}
	return ended, nil
}

// isUnanswered reads the answer to "show sess" for one session. It may be another one by
// now than the one that was in the list.
func isUnanswered(detail string, servers []ID) bool {
	var to ID
	silent := false
	for line := range strings.Lines(detail) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "backend="); ok {
			to.Backend, _, _ = strings.Cut(rest, " ")
		} else if rest, ok := strings.CutPrefix(line, "server="); ok {
			to.Name, _, _ = strings.Cut(rest, " ")
		} else if strings.HasPrefix(line, "res=") {
			silent = strings.Contains(line, " total=0)")
		}
	}
	for _, id := range servers {
		if id == to {
			return silent
		}
	}
	return false
}
