package netlab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// restartAfter is systemd's default RestartSec.
const restartAfter = 100 * time.Millisecond

// Service is a program that is started again whenever it ends. It stands in for a
// systemd unit with Restart=always and no start limit: as there, what is left of a
// run is killed before the next one.
type Service struct {
	Name string

	node   *Node
	argv   []string
	log    string
	starts atomic.Int64

	mu     sync.Mutex
	last   syscall.Signal
	cancel context.CancelFunc
	done   chan struct{}
}

// Supervise starts a program on the node, and again whenever it ends and at each
// boot. What it prints goes to a file.
func (n *Node) Supervise(name string, argv ...string) (*Service, error) {
	s := &Service{Name: name, node: n, argv: argv, log: filepath.Join(n.logs, name+".log")}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.services = append(n.services, s)
	return s, s.run()
}

// Starts counts how often the program was started.
func (s *Service) Starts() int64 { return s.starts.Load() }

// Log returns what the program has printed.
func (s *Service) Log() ([]byte, error) { return os.ReadFile(s.log) }

// Services are the node's, in the order in which they were begun.
func (n *Node) Services() []*Service {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Service(nil), n.services...)
}

// Stop ends the service as systemd does: SIGTERM first.
func (s *Service) Stop() {
	s.forget(syscall.SIGTERM)
	s.wait()
}

// Start begins a service again that was stopped.
func (s *Service) Start() error { return s.run() }

func (s *Service) run() error {
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", s.Name, s.node.Name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel, s.done = cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		defer out.Close()
		for ctx.Err() == nil {
			s.once(ctx, out)
			select {
			case <-ctx.Done():
			case <-time.After(restartAfter):
			}
		}
	}(s.done)
	return nil
}

func (s *Service) once(ctx context.Context, out *os.File) {
	cmd := s.node.Command(ctx, s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(cmd.Process.Pid, s.lastSignal()) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(out, "netlab: start %s: %s\n", s.Name, err)
		return
	}
	s.starts.Add(1)
	err := cmd.Wait()
	fmt.Fprintf(out, "netlab: %s ended: %v\n", s.Name, err)
	// A group that is empty is no fault.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// forget sends the program a last signal, and does not start it again.
func (s *Service) forget(last syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	s.cancel()
}

func (s *Service) lastSignal() syscall.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Service) wait() {
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	<-done
}
