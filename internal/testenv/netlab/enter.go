package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// inside marks the process that has namespaces of its own.
const inside = "CAPSTAN_NETLAB"

// ErrNotRoot tells that there can be no laboratory.
var ErrNotRoot = errors.New("network namespaces need root")

// Enter runs the rest of the program in namespaces of its own: it starts the
// program again there, waits for its end and exits as it did. It returns inside,
// or when that cannot be.
func Enter() error {
	if os.Getenv(inside) != "" {
		return furnish()
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	// The death signal comes when the thread that started the child ends.
	runtime.LockOSThread()
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := again.Start(); err != nil {
		signal.Stop(signals)
		return fmt.Errorf("enter namespaces: %w", err)
	}
	go func() {
		for s := range signals {
			// A child that has ended has no use for it.
			_ = again.Process.Signal(s)
		}
	}()
	err := again.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.Exited():
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "netlab:", err)
	os.Exit(1)
	return nil
}

// furnish makes the new namespaces usable, and hides from children that they are
// in them.
func furnish() error {
	if err := os.Unsetenv(inside); err != nil {
		return fmt.Errorf("enter namespaces: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"netlab", root, "tmpfs", 0},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return ip("link", "set", "lo", "up")
}
