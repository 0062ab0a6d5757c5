package demoenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is a program to be run.
type Program struct {
	// Name is unique among the processes; the log is called after it.
	Name string
	Path string
	Args []string
	// Env is added to the environment.
	Env []string
	// ended, if it is set, is told when the process ends although nobody asked it to;
	// that is a failure only if it returns an error.
	ended func(p *Process, cause error) error
}

// Process is a program that was started, in a process group of its own. Its log
// is appended to.
type Process struct {
	Program
	cmd     *exec.Cmd
	started time.Time
	done    chan struct{}
	err     error

	mu sync.Mutex
	// expected is set before a process is ended on purpose.
	expected bool
}

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL, 0) }

// Stop asks the process to end, and kills it after a grace period.
func (p *Process) Stop(grace time.Duration) { p.end(syscall.SIGTERM, grace) }

func (p *Process) end(signal syscall.Signal, grace time.Duration) {
	p.mu.Lock()
	p.expected = true
	p.mu.Unlock()
	// A group that is gone already is what was wanted.
	_ = syscall.Kill(-p.PID(), signal)
	if signal != syscall.SIGKILL {
		select {
		case <-p.done:
		case <-time.After(grace):
		}
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
}

func (p *Process) unexpected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.expected
}

// supervisor starts processes that do not outlive it.
type supervisor struct {
	dir    string
	starts chan func()
	failed chan error
}

// newSupervisor returns a supervisor of processes that run in a folder and log
// to its subfolder logs.
func newSupervisor(dir string) *supervisor {
	s := &supervisor{dir: dir, starts: make(chan func()), failed: make(chan error, 1)}
	go s.startForever()
	return s
}

// start runs a program.
func (s *supervisor) start(program Program) (*Process, error) {
	log, err := os.OpenFile(s.logFile(program.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", program.Name, err)
	}
	defer func() { _ = log.Close() }()
	p := &Process{Program: program, started: time.Now(), done: make(chan struct{})}
	p.cmd = exec.Command(program.Path, program.Args...)
	p.cmd.Dir = s.dir
	p.cmd.Env = append(os.Environ(), program.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	s.starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", program.Name, err)
	}
	go s.watch(p)
	return p, nil
}

func (s *supervisor) watch(p *Process) {
	p.err = p.cmd.Wait()
	close(p.done)
	if !p.unexpected() {
		return
	}
	err := p.err
	if err == nil {
		err = errors.New("it ended by itself")
	}
	if p.ended != nil {
		if err = p.ended(p, err); err == nil {
			return
		}
	}
	select {
	case s.failed <- fmt.Errorf("%s: %w; the end of %s:\n%s", p.Name, err, s.logFile(p.Name), tail(s.logFile(p.Name), 10)):
	default:
	}
}

func (s *supervisor) logFile(name string) string { return filepath.Join(s.dir, "logs", name+".log") }

func tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
