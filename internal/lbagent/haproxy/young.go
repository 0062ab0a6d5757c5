package haproxy

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Young returns how many connections there are that clients began less than some time
// ago. HAProxy counts whole seconds.
func (h *HAProxy) Young(ctx context.Context, within time.Duration) (int, error) {
	answer, err := socket(h.opts.Socket).ask(ctx, "show", "sess")
	if err != nil {
		return 0, err
	}
	count := countYoung(answer, within)
	procs, err := h.processes(ctx)
	if err != nil {
		return 0, fmt.Errorf("find replaced workers: %w", err)
	}
	for _, pid := range procs.old {
		// A worker that has just ended has no connections.
		if answer, err := h.inWorker(ctx, pid, "show", "sess"); err == nil {
			count += countYoung(answer, within)
		}
	}
	return count, nil
}

// countYoung reads the answer to "show sess".
func countYoung(text string, within time.Duration) int {
	return strings.Count(youngIn(text, within), "\n")
}

// youngIn returns the lines of the answer to "show sess", which has one for each connection,
// that are of clients who began less than some time ago. Of those that the agent itself
// has with HAProxy it says that they belong to GLOBAL.
func youngIn(text string, within time.Duration) string {
	var young strings.Builder
	for line := range strings.Lines(text) {
		_, rest, found := strings.Cut(line, " age=")
		if !found || strings.Contains(line, " fe=GLOBAL ") {
			continue
		}
		word, _, _ := strings.Cut(rest, " ")
		// One that is days old is written in a way that this does not read.
		if age, err := time.ParseDuration(word); err == nil && age <= within {
			young.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return young.String()
}
