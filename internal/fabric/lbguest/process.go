package lbguest

import (
	"errors"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// restartDelay is how soon a guest's service manager starts a service again.
const restartDelay = 100 * time.Millisecond

// process is a program that is started again whenever it ends, as systemd does it in
// a real guest.
type process struct {
	log  *slog.Logger
	argv []string
	done chan struct{}

	mu      sync.Mutex
	cmd     *exec.Cmd
	killed  chan struct{}
	stopped bool
}

func startProcess(log *slog.Logger, argv ...string) *process {
	p := &process{log: log, argv: argv, done: make(chan struct{}), killed: make(chan struct{})}
	go p.keep()
	return p
}

func (p *process) keep() {
	defer close(p.done)
	// The kernel ends the program together with the thread that started it: a guest
	// does not outlive its host, however that ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		cmd, err := p.start()
		if cmd == nil {
			return
		}
		if err == nil {
			err = cmd.Wait()
		}
		p.log.Debug("service ended", "program", p.argv[0], "error", err)
		timer := time.NewTimer(restartDelay)
		select {
		case <-p.killed:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// start starts the program, or returns nil where that is not wanted any more.
func (p *process) start() (*exec.Cmd, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil, nil
	}
	//nolint:noctx,gosec // it lives as long as the guest has power, and is the operator's choice
	p.cmd = exec.Command(p.argv[0], p.argv[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return p.cmd, p.cmd.Start()
}

// kill ends the program and its children at once, and for good.
func (p *process) kill() {
	p.mu.Lock()
	p.stopped = true
	close(p.killed)
	if p.cmd != nil && p.cmd.Process != nil {
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			p.log.Warn("service is not killed", "program", p.argv[0], "error", err)
		}
	}
	p.mu.Unlock()
	<-p.done
}
