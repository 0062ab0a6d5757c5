package haproxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

// processes are HAProxy's workers, as the master knows them.
type processes struct {
	// worker takes new connections; old ones have been replaced and carry on with
	// what they have.
	worker int
	old    []int
	// failed counts the reloads that came to nothing.
	failed int
}

func (h *HAProxy) processes(ctx context.Context) (processes, error) {
	answer, err := socket(h.opts.MasterSocket).ask(ctx, "show", "proc")
	if err != nil {
		return processes{}, err
	}
	return parseProcesses(answer)
}

// DropReplaced ends the workers that were replaced, with all that they still carry.
func (h *HAProxy) DropReplaced(ctx context.Context) error {
	procs, err := h.awaitProcesses(ctx)
	if err != nil {
		return err
	}
	for _, pid := range procs.old {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end replaced worker %d of HAProxy: %w", pid, err)
		}
	}
	return nil
}

// awaitProcesses waits for a master that is starting, or replacing itself.
func (h *HAProxy) awaitProcesses(ctx context.Context) (processes, error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	for {
		procs, err := h.processes(ctx)
		if err == nil || !daemon.Pause(ctx) {
			return procs, err
		}
	}
}

// parseProcesses reads the answer to "show proc".
func parseProcesses(text string) (processes, error) {
	var p processes
	old := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "# ") || len(fields) < 3 {
			old = strings.HasPrefix(line, "# old workers")
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			continue
		}
		switch {
		case fields[1] == "master":
			if len(fields) > 4 && fields[3] == "[failed:" {
				p.failed, _ = strconv.Atoi(strings.TrimSuffix(fields[4], "]"))
			}
		case fields[1] == "worker" && old:
			p.old = append(p.old, pid)
		case fields[1] == "worker":
			p.worker = pid
		}
	}
	if p.worker == 0 && len(p.old) == 0 {
		return processes{}, fmt.Errorf("HAProxy's master has no worker: %s", daemon.Shortened(text))
	}
	return p, nil
}

// inWorker asks one worker by its process ID, by way of the master.
func (h *HAProxy) inWorker(ctx context.Context, pid int, words ...string) (string, error) {
	command, err := joined(words...)
	if err != nil {
		return "", err
	}
	return socket(h.opts.MasterSocket).send(ctx, "@!"+strconv.Itoa(pid)+" "+command)
}
