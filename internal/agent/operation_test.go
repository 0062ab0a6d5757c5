package agent_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

func TestFastWorkIsAnsweredWithItsResultAndLeavesNoOperation(t *testing.T) {
	w := newWorld(t)
	vm, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(vm.State).To(Equal(hostapi.StateRunning))
	w.Expect(vm.Operation).To(BeNil())
	w.Expect(w.onDisk()).NotTo(ContainSubstring("operations/"))
}

func TestSlowWorkIsAnsweredWithAnOperation(t *testing.T) {
	w := newWorld(t)
	gate, vm := w.ensureSlowly(wanted("vm-1"))
	w.Expect(vm.State).To(Equal(hostapi.StatePartial))
	w.Expect(vm.Name).To(Equal("shop-vm-1"))
	w.Expect(vm.Operation.Done).To(BeFalse())
	w.Expect(vm.Operation.What).To(Equal("bringing VM shop-vm-1 to its wanted state"))
	w.Expect(vm.Operation.Percent).To(BeEquivalentTo(-1))

	gate.Open()
	w.eventually(func() bool { return w.operation(vm.Operation.Ref).Done }).Should(BeTrue())
	w.Expect(w.operation(vm.Operation.Ref).Err).NotTo(HaveOccurred())
	got, err := w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(got.State).To(Equal(hostapi.StateRunning))
}

func TestWorkOutlivesTheCallThatAskedForIt(t *testing.T) {
	w := newWorld(t)
	gate := w.driver.Block("EnsureVM")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := w.agent.EnsureVM(ctx, wanted("vm-1"))
		failed <- err
	}()
	gate.AwaitCall()
	cancel()
	w.Expect(hostapi.ClassOf(<-failed)).To(Equal(hostapi.Transient))

	gate.Open()
	w.eventually(func() bool { _, made := w.driver.VM("vm-1"); return made }).Should(BeTrue())
}

func TestTheSameRequestJoinsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	gate, first := w.ensureSlowly(wanted("vm-1"))
	var second hostapi.VM
	w.afterAnswer(nil, func() { second, _ = w.agent.EnsureVM(t.Context(), wanted("vm-1")) })
	w.Expect(second.Operation.Ref).To(Equal(first.Operation.Ref))
	gate.Open()
	w.eventually(func() bool { return w.operation(first.Operation.Ref).Done }).Should(BeTrue())
	w.Expect(w.ops()).To(Equal([]string{"EnsureVM"}))
}

func TestADifferentRequestWaitsAndTheNewestWins(t *testing.T) {
	w := newWorld(t)
	gate, first := w.ensureSlowly(wanted("vm-1"))
	var middle, last hostapi.VM
	bigger := wanted("vm-1")
	bigger.MemoryMiB = 4096
	w.afterAnswer(nil, func() { middle, _ = w.agent.EnsureVM(t.Context(), bigger) })
	biggest := wanted("vm-1")
	biggest.MemoryMiB = 8192
	w.afterAnswer(nil, func() { last, _ = w.agent.EnsureVM(t.Context(), biggest) })

	w.Expect(w.operation(middle.Operation.Ref).Err.Class).To(Equal(hostapi.Conflict))
	w.Expect(w.operation(last.Operation.Ref).What).To(ContainSubstring("waits for the end of"))
	gate.Open()
	w.eventually(func() bool { return w.operation(last.Operation.Ref).Done }).Should(BeTrue())
	w.Expect(w.operation(first.Operation.Ref).Err).NotTo(HaveOccurred())
	vm, _ := w.driver.VM("vm-1")
	w.Expect(vm.MemoryMiB).To(BeEquivalentTo(8192))
	w.Expect(w.ops()).To(Equal([]string{"EnsureVM", "EnsureVM"}))
	w.Expect(w.driver.Overlaps()).To(BeEmpty())
}

func TestDeletionCutsShortWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: stamp("vm-1"), State: hostapi.StateOff})
	_, vm := w.ensureSlowly(wanted("vm-1"))
	w.Expect(w.agent.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: stamp("vm-1")})).To(Succeed())
	w.Expect(w.operation(vm.Operation.Ref).Err.Class).To(Equal(hostapi.Conflict))
	_, err := w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	w.Expect(w.driver.Overlaps()).To(BeEmpty())
}

func TestAnOutcomeThatNobodyWasToldIsToldOnce(t *testing.T) {
	w := newWorld(t)
	gate := w.driver.Block("EnsureVM")
	w.driver.FailNext("EnsureVM", hostapi.Errorf(hostapi.OutOfCapacity, "EnsureVM", hostapi.ResourceMemory, "no room"))
	var vm hostapi.VM
	w.afterAnswer(gate, func() { vm, _ = w.agent.EnsureVM(t.Context(), wanted("vm-1")) })
	gate.Open()
	listed := func() *hostapi.Operation {
		vms, err := w.agent.ListVMs(t.Context())
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(vms).To(BeEmpty())
		return vm.Operation
	}
	w.Expect(listed()).NotTo(BeNil())

	// The call joins the work, or comes after its end: both are told the same.
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.OutOfCapacity))
	w.Expect(w.ops()).To(HaveLen(1))

	_, err = w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.ops()).To(HaveLen(2))
}

func TestAnOldSuccessIsNotAnObservation(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	gate := w.driver.Block("EnsureVM")
	failed := make(chan error, 1)
	go func() { _, err := w.agent.EnsureVM(ctx, wanted("vm-1")); failed <- err }()
	gate.AwaitCall()
	cancel()
	w.Expect(hostapi.ClassOf(<-failed)).To(Equal(hostapi.Transient))
	gate.Open()
	w.eventually(w.log.String).Should(ContainSubstring("operation ends well"))

	w.clock.Advance(time.Minute)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.ops()).To(HaveLen(2))
}

func TestAnOperationIsKeptForAnHour(t *testing.T) {
	w := newWorld(t)
	gate, vm := w.ensureSlowly(wanted("vm-1"))
	gate.Open()
	w.eventually(func() bool { return w.operation(vm.Operation.Ref).Done }).Should(BeTrue())

	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); w.agent.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	w.clock.AwaitTimers(1)
	w.clock.Advance(agent.KeepOperations - time.Second)
	w.clock.AwaitTimers(1)
	w.Expect(w.operation(vm.Operation.Ref).Done).To(BeTrue())
	w.clock.Advance(agent.AnswerWithin * 20)
	w.eventually(func() hostapi.Class {
		_, err := w.agent.GetOperation(t.Context(), vm.Operation.Ref)
		return hostapi.ClassOf(err)
	}).Should(Equal(hostapi.NotFound))
	w.eventually(w.onDisk).ShouldNot(ContainSubstring("operations/"))
}

func TestWorkThatFailsAgainAndAgainDoesNotFillTheDisk(t *testing.T) {
	w := newWorld(t)
	first := ""
	for range 20 {
		gate := w.driver.Block("EnsureVM")
		w.driver.FailNext("EnsureVM", hostapi.Errorf(hostapi.Transient, "EnsureVM", "", "file in use"))
		var vm hostapi.VM
		w.afterAnswer(gate, func() { vm, _ = w.agent.EnsureVM(t.Context(), wanted("vm-1")) })
		if first == "" {
			first = vm.Operation.Ref
		}
		gate.Open()
		w.eventually(func() bool { return w.operation(vm.Operation.Ref).Done }).Should(BeTrue())
	}
	files, err := filepath.Glob(filepath.Join(w.dir, "journal", "operations", "*.json"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(len(files)).To(BeNumerically("<", 10))
	_, err = w.agent.GetOperation(t.Context(), first)
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
}

func TestAVMThatIsWorkedOnIsShownAsItWas(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: stamp("vm-1"), Name: "shop-vm-1", State: hostapi.StateOff})
	gate, changing := w.ensureSlowly(wanted("vm-1"))
	w.Expect(changing.State).To(Equal(hostapi.StateOff))

	var got hostapi.VM
	w.afterAnswer(nil, func() { got, _ = w.agent.GetVM(t.Context(), "vm-1") })
	w.Expect(got.State).To(Equal(hostapi.StateOff))
	w.Expect(got.Operation.Ref).To(Equal(changing.Operation.Ref))
	vms, err := w.agent.ListVMs(t.Context())
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(vms[0].Operation.Ref).To(Equal(changing.Operation.Ref))
	gate.Open()
	w.Expect(w.driver.Overlaps()).To(BeEmpty())
}

func TestACallThatCannotHaveTheVMInTimeIsTransient(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: stamp("vm-1")})
	gate := w.driver.Block("GetVM")
	first := make(chan error, 1)
	go func() { _, err := w.agent.GetVM(t.Context(), "vm-1"); first <- err }()
	gate.AwaitCall()

	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { _, err := w.agent.GetVM(ctx, "vm-1"); second <- err }()
	w.clock.AwaitTimers(1)
	cancel()
	err := <-second
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient))
	w.Expect(err).To(MatchError(ContainSubstring("vm-1 is busy")))
	gate.Open()
	w.Expect(<-first).To(Succeed())
}

func TestVMsDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: stamp("vm-2"), State: hostapi.StateOff})
	gate, _ := w.ensureSlowly(wanted("vm-1"))
	vm, err := w.agent.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: stamp("vm-2"), Power: hostapi.PowerOn})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(vm.State).To(Equal(hostapi.StateRunning))
	gate.Open()
}

func TestAPanicOfTheDriverIsTransient(t *testing.T) {
	for op, call := range map[string]func(a *agent.Agent) error{
		"EnsureVM":  func(a *agent.Agent) error { _, err := a.EnsureVM(context.Background(), wanted("vm-1")); return err },
		"GetVM":     func(a *agent.Agent) error { _, err := a.GetVM(context.Background(), "vm-1"); return err },
		"ListVMs":   func(a *agent.Agent) error { _, err := a.ListVMs(context.Background()); return err },
		"Inventory": func(a *agent.Agent) error { _, err := a.Inventory(context.Background()); return err },
	} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.driver.PanicNext(op)
			w.Expect(hostapi.ClassOf(call(w.agent))).To(Equal(hostapi.Transient))
			w.Expect(w.log.String()).To(And(ContainSubstring("driver panics"), ContainSubstring("told to panic")))
			_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
			w.Expect(err).NotTo(HaveOccurred())
		})
	}
}

func TestAnErrorOfNoClassIsTransient(t *testing.T) {
	w := newWorld(t)
	w.driver.FailNext("ListVMs", errors.New("0x80041003"))
	_, err := w.agent.ListVMs(t.Context())
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient))
}

func TestStagingTellsHowFarItIs(t *testing.T) {
	w := newWorld(t)
	req := hostapi.StageImageRequest{
		Image:  hostapi.ImageRef{Name: "linux", SHA256: "0000000000000000000000000000000000000000000000000000000000000001"},
		Volume: "csv1", Source: "https://images.example/linux.vhdx",
	}
	gate := w.driver.Block("StageImage")
	var image hostapi.Image
	w.afterAnswer(gate, func() { image, _ = w.agent.StageImage(t.Context(), req) })
	w.Expect(image.Operation.Percent).To(BeEquivalentTo(25))
	gate.Open()
	staged, err := w.agent.StageImage(t.Context(), req)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(staged).To(Equal(hostapi.Image{ImageRef: req.Image, Volume: "csv1", Bytes: 1 << 30}))
}

var _ agent.Clock = (*agenttest.Clock)(nil)
