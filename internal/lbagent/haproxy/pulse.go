package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pulse is what can be seen of a process from outside.
type pulse struct {
	pid int
	// used is the processor time that it has had, in the kernel's ticks.
	used uint64
	// willing tells whether a thread of it runs, would run if there were a processor for
	// it, or waits for a disk.
	willing bool
}

// pulseBehind returns the pulse of the HAProxy that listens on a socket: of the worker
// that takes new connections, where there is a master, who listened before it.
func pulseBehind(ctx context.Context, path string) (pulse, error) {
	listener, err := listenerOf(ctx, path)
	if err != nil {
		return pulse{}, err
	}
	worker, err := youngestChild(listener)
	if err != nil {
		return pulse{}, err
	}
	if worker != 0 {
		listener = worker
	}
	return pulseOf(listener)
}

// listenerOf returns the process that had the kernel listen on a socket.
func listenerOf(ctx context.Context, path string) (pid int, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("%s is no Unix socket", path)
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, fmt.Errorf("ask who listens on %s: %w", path, failed)
	}
	return int(peer.Pid), nil
}

// youngestChild returns the child of a process that was started last, or 0 where there
// is none.
func youngestChild(pid int) (youngest int, err error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		return 0, err
	}
	var latest uint64
	for word := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			return 0, err
		}
		stat, err := readStat(fmt.Sprintf("/proc/%d/stat", child))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if stat.started >= latest {
			youngest, latest = child, stat.started
		}
	}
	return youngest, nil
}

func pulseOf(pid int) (pulse, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return pulse{}, fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	p := pulse{pid: pid}
	for _, thread := range threads {
		stat, err := readStat(thread)
		if err != nil {
			return pulse{}, err
		}
		p.used += stat.used
		p.willing = p.willing || stat.state == "R" || stat.state == "D"
	}
	return p, nil
}

// stat is what the kernel says of a process or a thread.
type stat struct {
	state         string
	used, started uint64
}

func readStat(path string) (stat, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	// Columns are those of proc(5), which counts from 1, without the two up to the name.
	const state, utime, stime, starttime = 0, 11, 12, 19
	if len(fields) <= starttime {
		return stat{}, fmt.Errorf("%s has %d columns", path, len(fields))
	}
	user, errUser := strconv.ParseUint(fields[utime], 10, 64)
	system, errSystem := strconv.ParseUint(fields[stime], 10, 64)
	started, errStarted := strconv.ParseUint(fields[starttime], 10, 64)
	if err := errors.Join(errUser, errSystem, errStarted); err != nil {
		return stat{}, fmt.Errorf("%s: %w", path, err)
	}
	return stat{state: fields[state], used: user + system, started: started}, nil
}
