package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var errDead = errors.New("the process is dead")

// death ends a process at its nth write to the disk, before or after it. A dead
// process changes neither disk nor host.
type death struct {
	agent.Files
	hostapi.Driver

	mu     sync.Mutex
	at     int
	after  bool
	writes int
	// unjournalled are the effects that came before the journal knew of them.
	unjournalled []string
	dir          string
}

func (d *death) write(do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	switch {
	case d.writes < d.at, d.writes == d.at && d.after:
		return do()
	default:
		return errDead
	}
}

func (d *death) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes >= d.at
}

func (d *death) Put(path string, data []byte) error {
	return d.write(func() error { return d.Files.Put(path, data) })
}

func (d *death) Remove(path string) error {
	return d.write(func() error { return d.Files.Remove(path) })
}

// effect lets a call through to the host if the process lives, and checks that
// the journal has the operation.
func (d *death) effect(what string) error {
	if d.dead() {
		return errDead
	}
	if files, err := filepath.Glob(filepath.Join(d.dir, "journal", "operations", "*.json")); err != nil || len(files) == 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.unjournalled = append(d.unjournalled, what)
	}
	return nil
}

func (d *death) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	if err := d.effect("StageImage"); err != nil {
		return hostapi.Image{}, err
	}
	return d.Driver.StageImage(ctx, req)
}

func (d *death) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	if err := d.effect("EnsureVM"); err != nil {
		return hostapi.VM{}, err
	}
	return d.Driver.EnsureVM(ctx, req)
}

func (d *death) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	if err := d.effect("SetPower"); err != nil {
		return hostapi.VM{}, err
	}
	return d.Driver.SetPower(ctx, req)
}

func (d *death) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	if err := d.effect("DeleteVM"); err != nil {
		return err
	}
	return d.Driver.DeleteVM(ctx, req)
}

// life is what a manager asks of an agent for one VM, from nothing to nothing.
func life(ctx context.Context) []func(hostapi.Agent) error {
	image := hostapi.ImageRef{Name: "linux", SHA256: fmt.Sprintf("%064d", 1)}
	seeded := wanted("vm-1")
	seeded.Seed = []byte("the secret of the seed")
	unseeded := wanted("vm-1")
	return []func(hostapi.Agent) error{
		func(a hostapi.Agent) error { _, err := a.Bury(ctx, nil); return err },
		func(a hostapi.Agent) error {
			_, err := a.StageImage(ctx, hostapi.StageImageRequest{Image: image, Volume: "csv1"})
			return err
		},
		func(a hostapi.Agent) error { _, err := a.EnsureVM(ctx, seeded); return err },
		func(a hostapi.Agent) error {
			_, err := a.SetPower(ctx, hostapi.SetPowerRequest{Stamp: stamp("vm-1"), Power: hostapi.PowerOff})
			return err
		},
		func(a hostapi.Agent) error { _, err := a.EnsureVM(ctx, unseeded); return err },
		func(a hostapi.Agent) error {
			err := a.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: stamp("vm-1")})
			if hostapi.Is(err, hostapi.NotFound) {
				return nil
			}
			return err
		},
		func(a hostapi.Agent) error {
			_, err := a.GetVM(ctx, "vm-1")
			if !hostapi.Is(err, hostapi.NotFound) {
				return fmt.Errorf("want NotFound, got %w", err)
			}
			return nil
		},
	}
}

func TestAnAgentDiesAtAnyWriteAndIsCarriedOn(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			var writes int
			t.Run(fmt.Sprintf("at write %d, after it %t", at, after), func(t *testing.T) { writes = dieAt(t, at, after) })
			if writes < at {
				break
			}
		}
	}
}

// dieAt lives a VM's life with a process that dies at a write, and returns how
// many writes it got to.
func dieAt(t *testing.T, at int, after bool) int {
	t.Helper()
	w := newFreshWorld(t)
	w.kill()
	first := &death{Files: agent.Disk{}, Driver: w.driver, at: at, after: after, dir: w.dir}
	w.agent = w.open(first, first)
	steps := life(t.Context())
	var done int
	for done < len(steps) && !first.dead() {
		if steps[done](w.agent) != nil {
			break
		}
		done++
	}
	w.restart()

	// A new process knows nothing of the manager before it is spoken to.
	w.Expect(steps[0](w.agent)).To(Succeed())
	for ; done < len(steps); done++ {
		w.Expect(steps[done](w.agent)).To(Succeed(), "step %d", done)
	}
	_, left := w.driver.VM("vm-1")
	w.Expect(left).To(BeFalse())
	w.Expect(first.unjournalled).To(BeEmpty())
	w.Expect(w.driver.Overlaps()).To(BeEmpty())
	w.Expect(w.onDisk()).NotTo(ContainSubstring("secret of the seed"))
	w.eventually(w.unfinished).Should(BeEmpty())
	return first.writes
}

// unfinished returns the journal files that still ask for something to be done.
func (w *world) unfinished() []string {
	var asking []string
	for _, folder := range []string{"operations", "vms"} {
		paths, err := filepath.Glob(filepath.Join(w.dir, "journal", folder, "*.json"))
		w.Expect(err).NotTo(HaveOccurred())
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			w.Expect(err).NotTo(HaveOccurred())
			if !strings.Contains(string(raw), `"finished"`) {
				asking = append(asking, path)
			}
		}
	}
	return asking
}

func TestAnAgentRestartsAndItsVMsKeepRunning(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"vm-1", "vm-2"} {
		_, err := w.agent.EnsureVM(t.Context(), wanted(id))
		w.Expect(err).NotTo(HaveOccurred())
	}
	before := w.ops()
	w.restart()
	w.Expect(w.awaitsBury()).To(BeTrue(), "it is told of the tombstones again")
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred(), "the host has not been away: nobody need wait for them")
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	for _, id := range []hostapi.VMID{"vm-1", "vm-2"} {
		vm, err := w.agent.GetVM(t.Context(), id)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(vm.State).To(Equal(hostapi.StateRunning))
	}
	w.kill()
	w.Expect(w.ops()).To(Equal(append(before, "EnsureVM")), "nothing is done to them that was not asked for")
}

func TestAnAgentRestartsAndResumesItsJournal(t *testing.T) {
	w := newWorld(t)
	gate, vm := w.ensureSlowly(wanted("vm-1"))
	w.restart()
	gate.Open()

	w.Expect(w.operation(vm.Operation.Ref).What).To(ContainSubstring("waits for the manager"))
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.eventually(func() bool { return w.operation(vm.Operation.Ref).Done }).Should(BeTrue())
	made, _ := w.driver.VM("vm-1")
	w.Expect(made.State).To(Equal(hostapi.StateRunning))
}

func TestStagingIsResumedAtOnce(t *testing.T) {
	w := newWorld(t)
	gate := w.driver.Block("StageImage")
	var image hostapi.Image
	w.afterAnswer(gate, func() {
		image, _ = w.agent.StageImage(t.Context(), hostapi.StageImageRequest{Image: hostapi.ImageRef{SHA256: fmt.Sprintf("%064d", 1)}, Volume: "csv1"})
	})
	w.restart()
	gate.AwaitCall()
	gate.Open()
	w.eventually(func() bool { return w.operation(image.Operation.Ref).Done }).Should(BeTrue())
}

func TestResumedWorkWaitsForItsSeed(t *testing.T) {
	w := newWorld(t)
	req := wanted("vm-1")
	req.Seed = []byte("the secret of the seed")
	gate, vm := w.ensureSlowly(req)
	w.restart()
	gate.Open()
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.Expect(w.operation(vm.Operation.Ref).What).To(ContainSubstring("send the seed again"))
	w.Expect(w.ops()).To(HaveLen(1))

	_, err := w.agent.EnsureVM(t.Context(), req)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeTrue())
	calls := w.driver.Calls()
	w.Expect(calls[len(calls)-1].Seed).To(Equal(req.Seed))
}

func TestWorkThatWaitsToBeAskedForAgainIsNotUnderWay(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	seeded := wanted("vm-1")
	seeded.Seed = []byte("the secret of the seed")
	gate, vm := w.ensureSlowly(seeded)
	w.restart()
	gate.Open()
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())

	// A manager that saw an operation here would wait for it, and it for the seed.
	seen, err := w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(seen.Operation).To(BeNil())
	w.Expect(w.agent.ListVMs(t.Context())).To(HaveEach(HaveField("Operation", BeNil())))

	_, err = w.agent.EnsureVM(t.Context(), seeded)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeTrue())
}

func TestAVMThatIsNowhereIsNotMadeFromTheJournal(t *testing.T) {
	w := newWorld(t)
	gate, vm := w.ensureSlowly(wanted("vm-1"))
	w.restart()
	gate.Open()

	// The manager takes this for the end of the VM and lets its object go.
	_, err := w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeTrue())
	_, made := w.driver.VM("vm-1")
	w.Expect(made).To(BeFalse())
}

func TestAFailoverClusterMemberResumesOnlyWhatIsAskedForAgain(t *testing.T) {
	w := newFreshWorld(t)
	w.driver.Join("fc-1")
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	gate, vm := w.ensureSlowly(wanted("vm-1"))
	w.restart()
	gate.Open()
	// The VM may have been made and deleted through another node meanwhile.
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeFalse())
	w.Expect(w.ops()).To(HaveLen(1))

	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeTrue())
}

func TestNothingBeginsWithoutAJournal(t *testing.T) {
	w := newWorld(t)
	w.kill()
	full := &death{Files: agent.Disk{}, Driver: w.driver, at: 1, dir: w.dir}
	w.agent = w.open(full, w.driver)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient))
	w.Expect(w.ops()).To(BeEmpty())
}
