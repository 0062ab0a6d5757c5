package demoenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// Namespace is the manager's own.
const Namespace = "capstan-system"

// Options say what an environment is made of.
type Options struct {
	// Dir is the folder for everything; what an earlier run left there goes.
	Dir string
	// Source is the top of the repository, for its manifests; Binaries has the
	// programs of `make build`, Assets those of hack/kube-assets.sh.
	Source, Binaries, Assets string
	// Hosts is how many hosts there are.
	Hosts int
	// RealGuests has hosts be of machine containers that boot the node image; they are
	// simulated without.
	RealGuests bool
	// FakeHyperV has simulated hosts be driven by the driver for Hyper-V, by WMI.
	FakeHyperV bool
	// BootTime is how long a guest takes to boot.
	BootTime time.Duration
	// FailoverDelay is how long the failover cluster waits before it restarts the VMs
	// of a lost host on others; 0 for what the fabric takes by default.
	FailoverDelay time.Duration
	// Restart starts the manager and agents again that end by themselves. Otherwise
	// that is a failure, as the end of any other process is.
	Restart bool
	// Args are given to a process of this name besides the usual ones.
	Args map[string][]string
	// Fsync lets etcd wait for the disk. Without it, what is lost with the machine
	// is not missed.
	Fsync bool
	// Report is told what is done, a line each. It may be nil.
	Report func(line string)
}

// Env is a running environment.
type Env struct {
	Options
	// Config reaches the management API server as its administrator.
	Config *rest.Config
	// Admin speaks with the admin socket of the fabric, where hosts are simulated.
	Admin *fabricapi.AdminClient
	// Machines are the hosts where guests are real, nil where they are simulated.
	Machines *machinehosts.Hosts
	// Manager, Fabric and Agents are the processes that a test may kill. With Restart,
	// they are those that were started first.
	Manager *Process
	Fabric  *Process
	Agents  map[string]*Process

	server     string
	physical   physical
	supervisor *supervisor
	restarts   *restarts
	lock       *os.File

	mu      sync.Mutex
	running []*Process
	stopped bool
}

// errStopped is why a program is not started any more.
var errStopped = errors.New("the environment is stopped")

// Names of processes that may be started again; an agent's goes on with that of
// its host.
const (
	managerName = "manager"
	agentPrefix = "agent-"
)

// New returns an environment in which nothing runs yet. It refuses a folder that
// another one is using.
func New(options Options) (*Env, error) {
	for _, dir := range []*string{&options.Dir, &options.Source, &options.Binaries, &options.Assets} {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", *dir, err)
		}
		*dir = absolute
	}
	if options.Report == nil {
		options.Report = func(string) {}
	}
	e := &Env{Options: options, Agents: map[string]*Process{}}
	if err := e.takeFolder(); err != nil {
		return nil, err
	}
	e.Admin = fabricapi.NewAdminClient(fabricapi.UnixTransport(e.adminSocket()))
	e.supervisor = newSupervisor(e.Dir)
	e.restarts = &restarts{now: time.Now, again: func(p *Process) error {
		_, err := e.again(p)
		return err
	}, report: e.Report, short: map[string]int{}}
	e.physical = simulated{e}
	if e.FakeHyperV {
		e.physical = fakeHyperV{e}
	}
	if e.RealGuests {
		if err := e.useMachines(); err != nil {
			return nil, errors.Join(err, e.lock.Close())
		}
	}
	return e, nil
}

const lockFile = "lock"

func (e *Env) takeFolder() error {
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return fmt.Errorf("making the environment's folder: %w", err)
	}
	lock, err := os.OpenFile(e.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the environment's folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%s is in use: another such program is running there", e.Dir), lock.Close())
	}
	e.lock = lock
	entries, err := os.ReadDir(e.Dir)
	if err != nil {
		return fmt.Errorf("clearing the environment's folder: %w", err)
	}
	for _, entry := range entries {
		// Only what an environment makes is removed, should it be somebody's home.
		if slices.Contains(contents, entry.Name()) {
			if err := os.RemoveAll(e.path(entry.Name())); err != nil {
				return fmt.Errorf("clearing the environment's folder: %w", err)
			}
		}
	}
	for _, dir := range []string{"logs", "pki", "bin", "agents", fabricDir, "tmp"} {
		if err := os.MkdirAll(e.path(dir), 0o700); err != nil {
			return fmt.Errorf("making the environment's folder: %w", err)
		}
	}
	return e.linkKubectl()
}

// EvidenceDir is the folder, in that of the environment, of what a program keeps that
// tells of what went wrong.
const EvidenceDir = "evidence"

// contents is what an environment makes in its folder, but for what is mounted there.
var contents = []string{
	"agents", "bin", "etcd", fabricDir, "logs", "pki", "cache", "tmp", "manifests", EvidenceDir,
	"kubeconfig", "controller-manager.kubeconfig", "manager.kubeconfig", "shop.kubeconfig", "lab.kubeconfig",
}

// Start brings everything up, in the order in which an administrator would.
func (e *Env) Start(ctx context.Context) error {
	for _, step := range []struct {
		line string
		do   func(context.Context) error
	}{
		{e.physical.describe(), e.physical.start},
		{"management API server and etcd", e.startAPIServer},
		{"kubectl apply --server-side -k config/default", e.install},
		{"manager", e.StartManager},
		{"host agents, enrolled by one-time tokens", e.startHosts},
	} {
		e.Report(step.line)
		if err := step.do(ctx); err != nil {
			return errors.Join(e.failure(), err)
		}
	}
	return nil
}

// Stop ends all processes, the manager first and what it needs last, and takes away what
// they leave on the machine.
func (e *Env) Stop() error {
	e.mu.Lock()
	e.stopped = true
	processes := slices.Clone(e.running)
	e.mu.Unlock()
	for _, p := range slices.Backward(processes) {
		grace := 5 * time.Second
		if p.Name == "kube-apiserver" {
			// It would wait for watches of whoever still looks.
			grace = 0
		}
		p.Stop(grace)
	}
	// The lock goes with the file.
	return errors.Join(e.physical.stop(), e.lock.Close())
}

// Processes are all that run, in the order in which they were started.
func (e *Env) Processes() []*Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.running)
}

// Failed tells of a process that ended although nobody asked it to.
func (e *Env) Failed() <-chan error { return e.supervisor.failed }

// WhileWell returns a context that ends, with the reason for its cause, as soon as a
// process ends although nobody asked it to.
func (e *Env) WhileWell(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case err := <-e.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// failure is such a process, if there is one.
func (e *Env) failure() error {
	select {
	case err := <-e.supervisor.failed:
		// Whoever else asks shall hear of it, too.
		e.supervisor.failed <- err
		return err
	default:
		return nil
	}
}

// run starts a program, under the name that its log has.
func (e *Env) run(name, path string, args ...string) (*Process, error) {
	args = slices.Concat(args, e.Args[name])
	program := Program{Name: name, Path: path, Args: args, Env: []string{"HOME=" + e.Dir, "TMPDIR=" + e.path("tmp")}}
	if e.Restart && (name == managerName || strings.HasPrefix(name, agentPrefix)) {
		program.ended = e.restarts.ended
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, fmt.Errorf("starting %s: %w", name, errStopped)
	}
	p, err := e.supervisor.start(program)
	if err != nil {
		return nil, err
	}
	e.running = append(slices.DeleteFunc(e.running, func(old *Process) bool { return old.Name == name }), p)
	return p, nil
}

// again runs a program that has ended once more.
func (e *Env) again(ended *Process) (*Process, error) {
	return e.run(ended.Name, ended.Path, ended.Args[:len(ended.Args)-len(e.Args[ended.Name])]...)
}

func (e *Env) path(name string) string { return filepath.Join(e.Dir, name) }

func (e *Env) asset(name string) string { return filepath.Join(e.Assets, name) }

func (e *Env) binary(name string) string { return filepath.Join(e.Binaries, name) }

// Kubeconfig is the file of the management cluster's administrator.
func (e *Env) Kubeconfig() string { return e.path("kubeconfig") }
