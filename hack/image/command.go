package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command is a program to run, of which nothing is heard unless it fails.
type command struct {
	dir   string
	env   []string
	stdin io.Reader
	args  []string
}

// run gives what the program said on its standard output. One that is interrupted
// is told so, and so are its children.
func (c command) run(ctx context.Context) (string, error) {
	var stdout, stderr bytes.Buffer
	p := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	p.Dir, p.Stdin, p.Stdout, p.Stderr = c.dir, c.stdin, &stdout, &stderr
	p.Env = append(os.Environ(), c.env...)
	// Also when this process is killed: the next one clears away what this one was filling.
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGTERM) }
	p.WaitDelay = 20 * time.Second
	if err := p.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(c.args[:min(len(c.args), 4)], " "), err, tail(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

// isolated runs a shell script in a mount and process namespace of its own, with the
// arguments as $1 and so on. What it mounts or leaves running ends with it.
func isolated(ctx context.Context, env []string, script string, args ...string) (string, error) {
	all := []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-euc", script, "sh"}
	return command{env: env, args: append(all, args...)}.run(ctx)
}

// tail is as much of what a program said as one wants to read.
func tail(s string) string {
	const lines = 40
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
