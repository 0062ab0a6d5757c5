package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

// world is an agent with all that is around it, without gRPC.
type world struct {
	*WithT
	t      *testing.T
	dir    string
	clock  *agenttest.Clock
	driver *agenttest.Driver
	agent  *agent.Agent
	log    *logtest.Text
}

// newWorld returns an agent that was given its tombstones and may start VMs.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newFreshWorld(t)
	_, err := w.agent.Bury(t.Context(), nil)
	w.Expect(err).NotTo(HaveOccurred())
	return w
}

// newFreshWorld returns an agent at its very first start.
func newFreshWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		WithT: NewWithT(t), t: t, dir: t.TempDir(), driver: agenttest.NewDriver("host-1"), log: &logtest.Text{},
		clock: agenttest.NewClock(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)),
	}
	w.agent = w.open(agent.Disk{}, w.driver)
	t.Cleanup(w.kill)
	return w
}

func (w *world) open(files agent.Files, driver hostapi.Driver) *agent.Agent {
	w.t.Helper()
	a, err := agent.New(agent.Config{
		Driver: driver, DriverName: "agenttest", StateDir: w.dir, Version: "v0.0.0-test",
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: w.clock,
	}.On(files))
	w.Expect(err).NotTo(HaveOccurred())
	return a
}

func (w *world) kill() {
	if w.agent != nil {
		w.Expect(w.agent.Close(context.Background())).To(Succeed())
		w.agent = nil
	}
}

// restart replaces the agent by another one on the same disk and host.
func (w *world) restart() {
	w.t.Helper()
	w.kill()
	w.agent = w.open(agent.Disk{}, w.driver)
}

// eventually waits for what another goroutine is about to do.
func (w *world) eventually(actual any) AsyncAssertion {
	return w.Eventually(actual).WithTimeout(20 * time.Second).WithPolling(time.Millisecond)
}

// afterAnswer makes a call that is answered with an operation.
func (w *world) afterAnswer(gate *agenttest.Gate, call func()) {
	w.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	if gate != nil {
		gate.AwaitCall()
	}
	w.clock.AwaitTimers(1)
	w.clock.Advance(agent.AnswerWithin)
	<-done
}

// ensureSlowly makes EnsureVM hang and returns the operation it is answered
// with.
func (w *world) ensureSlowly(req hostapi.EnsureVMRequest) (*agenttest.Gate, hostapi.VM) {
	w.t.Helper()
	gate := w.driver.Block("EnsureVM")
	var vm hostapi.VM
	w.afterAnswer(gate, func() {
		var err error
		vm, err = w.agent.EnsureVM(w.t.Context(), req)
		w.Expect(err).NotTo(HaveOccurred())
	})
	w.Expect(vm.Operation).NotTo(BeNil())
	return gate, vm
}

func (w *world) operation(ref string) hostapi.Operation {
	w.t.Helper()
	o, err := w.agent.GetOperation(w.t.Context(), ref)
	w.Expect(err).NotTo(HaveOccurred())
	return o
}

// ops are the methods of the driver's changing calls, in order.
func (w *world) ops() []string {
	var ops []string
	for _, c := range w.driver.Calls() {
		ops = append(ops, c.Op)
	}
	return ops
}

// onDisk returns everything in the state directory.
func (w *world) onDisk() string {
	w.t.Helper()
	var all strings.Builder
	w.Expect(filepath.WalkDir(w.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		all.WriteString(path + "\n" + string(raw) + "\n")
		return err
	})).To(Succeed())
	return all.String()
}

func stamp(id string) hostapi.Stamp {
	return hostapi.Stamp{Installation: "here", ID: hostapi.VMID(id)}
}

func wanted(id string) hostapi.EnsureVMRequest {
	return hostapi.EnsureVMRequest{
		Stamp: stamp(id), Name: "shop-" + id, Owner: "default/shop-" + id, OS: hostapi.Linux, Processors: 2, MemoryMiB: 2048,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Bytes: 1 << 34}}, Power: hostapi.PowerOn,
	}
}
