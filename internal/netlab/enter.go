package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// stage tells a program that was started again how far it has come in.
const stage = "CAPSTAN_NETLAB"

// The stages of a program.
const (
	reaping = "init"
	inside  = "inside"
)

// namespaces are those that a laboratory has of its own.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS

// ErrNotRoot tells that there can be no laboratory.
var ErrNotRoot = errors.New("network namespaces need root")

// Enter runs the rest of the program in namespaces of its own: it starts the
// program again there, waits for its end and exits as it did. It returns inside,
// or when that cannot be. What is measured in a laboratory is time, so all that
// runs there goes before what else the machine has to do.
func Enter() error {
	const priority = -10
	return enter(func() error {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, priority); err != nil {
			return fmt.Errorf("set priority: %w", err)
		}
		return nil
	})
}

// enter has a program that was started again make itself at home before it goes on.
func enter(settle func() error, handed ...*os.File) error {
	switch os.Getenv(stage) {
	case inside:
		// Children are not to know.
		return os.Unsetenv(stage)
	case reaping:
		// A thread has its own priority and passes it on to what it starts.
		runtime.LockOSThread()
		if err := furnish(); err != nil {
			return err
		}
		if err := settle(); err != nil {
			return err
		}
		again, err := startAgain(inside, &syscall.SysProcAttr{})
		if err != nil {
			return err
		}
		os.Exit(reap(again.Pid))
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	// The death signal comes when the thread that started the child ends.
	runtime.LockOSThread()
	again, err := startAgain(reaping, &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}, handed...)
	if err != nil {
		return err
	}
	os.Exit(reap(again.Pid))
	return nil
}

// startAgain starts this program at a stage with more open files, and passes signals
// on to it.
func startAgain(at string, attributes *syscall.SysProcAttr, handed ...*os.File) (*os.Process, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := os.Setenv(stage, at); err != nil {
		return nil, fmt.Errorf("enter namespaces: %w", err)
	}
	again, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Files: append([]*os.File{os.Stdin, os.Stdout, os.Stderr}, handed...),
		Sys:   attributes,
	})
	if err != nil {
		signal.Stop(signals)
		return nil, errors.Join(fmt.Errorf("enter namespaces: %w", err), os.Unsetenv(stage))
	}
	go func() {
		for s := range signals {
			// A process that has ended has no use for it.
			_ = again.Signal(s)
		}
	}()
	return again, nil
}

// reap waits for every child, as the first process of a namespace must: a daemon
// takes one that has ended and was not waited for to be running still. It returns
// what the program exits with.
func reap(program int) int {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || err == nil && pid != program:
		case err != nil:
			fmt.Fprintln(os.Stderr, "netlab:", err)
			return 1
		case status.Signaled():
			fmt.Fprintln(os.Stderr, "netlab:", status.Signal())
			return 1
		default:
			return status.ExitStatus()
		}
	}
}

// furnish makes the new namespaces usable.
func furnish() error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", 0, ""},
		// keepalived starts nothing that others than root could have put there.
		{"netlab", root, "tmpfs", 0, "mode=755"},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return ip("link", "set", "lo", "up")
}
