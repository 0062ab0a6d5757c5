package agent_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func tombstone(id string) hostapi.Tombstone {
	return hostapi.Tombstone{Stamp: stamp(id), Name: "shop-" + id}
}

func (w *world) awaitsBury() bool {
	w.t.Helper()
	hello, err := w.agent.Hello(w.t.Context())
	w.Expect(err).NotTo(HaveOccurred())
	return hello.AwaitingBury
}

func TestTheBuriedAreDeletedAndThenGone(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	buried := []hostapi.Tombstone{tombstone("vm-1"), tombstone("vm-2")}

	w.Expect(w.agent.Bury(t.Context(), buried)).To(Equal([]hostapi.VMID{"vm-2"}))
	w.eventually(func() []hostapi.VMID {
		gone, err := w.agent.Bury(t.Context(), buried)
		w.Expect(err).NotTo(HaveOccurred())
		return gone
	}).Should(ConsistOf(hostapi.VMID("vm-1"), hostapi.VMID("vm-2")))
	_, left := w.driver.VM("vm-1")
	w.Expect(left).To(BeFalse())
}

func TestTheBuriedAreNeitherMadeNorStarted(t *testing.T) {
	w := newWorld(t)
	w.Expect(w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-1")})).To(ConsistOf(hostapi.VMID("vm-1")))
	check := func() {
		w.t.Helper()
		_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
		w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict))
		_, err = w.agent.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: stamp("vm-1"), Power: hostapi.PowerOn})
		w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict))
	}
	check()
	w.restart()
	check()
	w.Expect(w.ops()).To(BeEmpty())

	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
}

func TestAVMThatIsBeingMadeIsNotGoneWhenItIsBuried(t *testing.T) {
	w := newWorld(t)
	w.ensureSlowly(wanted("vm-1"))
	buried := []hostapi.Tombstone{tombstone("vm-1")}
	w.Expect(w.agent.Bury(t.Context(), buried)).To(BeEmpty())
	w.eventually(func() []hostapi.VMID {
		gone, err := w.agent.Bury(t.Context(), buried)
		w.Expect(err).NotTo(HaveOccurred())
		return gone
	}).Should(ConsistOf(hostapi.VMID("vm-1")))
}

func TestADeletionOfTheBuriedThatFailedIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: stamp("vm-1"), State: hostapi.StateRunning})
	w.driver.FailNext("DeleteVM", hostapi.Errorf(hostapi.Transient, "DeleteVM", "", "file in use"))
	buried := []hostapi.Tombstone{tombstone("vm-1")}
	w.eventually(func() []hostapi.VMID {
		gone, err := w.agent.Bury(t.Context(), buried)
		w.Expect(err).NotTo(HaveOccurred())
		return gone
	}).Should(ConsistOf(hostapi.VMID("vm-1")))
}

func TestWhatSomebodyElseOwnsIsNotBuried(t *testing.T) {
	w := newWorld(t)
	w.driver.Put(hostapi.VM{Stamp: hostapi.Stamp{Installation: "elsewhere", ID: "vm-1"}, State: hostapi.StateRunning})
	w.Expect(w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-1")})).To(BeEmpty())
	w.eventually(w.log.String).Should(ContainSubstring("class=NotOwned"))
	w.Expect(w.ops()).To(BeEmpty())
}

func TestTombstonesAreKeptThoughTheHostCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	w.driver.FailNext("ListVMs", hostapi.Errorf(hostapi.HostUnreachable, "ListVMs", "", "the failover cluster does not answer"))
	_, err := w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-1")})
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	_, err = w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict))
}

func TestAfterABootVMsStartOnlyOnceTheTombstonesAreThere(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"vm-1", "vm-2", "vm-3"} {
		_, err := w.agent.EnsureVM(t.Context(), wanted(id))
		w.Expect(err).NotTo(HaveOccurred())
	}
	_, err := w.agent.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: stamp("vm-2"), Power: hostapi.PowerOff})
	w.Expect(err).NotTo(HaveOccurred())
	w.driver.Boot()
	w.restart()

	w.Expect(w.awaitsBury()).To(BeTrue())
	_, err = w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient))
	w.Expect(err).To(MatchError(ContainSubstring("tombstones")))

	_, err = w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-3")})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.awaitsBury()).To(BeFalse())
	state := func(id hostapi.VMID) func() hostapi.State {
		return func() hostapi.State { vm, _ := w.driver.VM(id); return vm.State }
	}
	w.eventually(state("vm-1")).Should(Equal(hostapi.StateRunning))
	w.eventually(state("vm-3")).Should(BeZero())
	w.Expect(state("vm-2")()).To(Equal(hostapi.StateOff))
}

func TestABootIsNoticedWhileTheAgentRuns(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.awaitsBury()).To(BeFalse())
	w.driver.Boot()
	_, err = w.agent.Inventory(t.Context())
	w.Expect(err).NotTo(HaveOccurred())

	w.Expect(w.awaitsBury()).To(BeTrue())
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.eventually(func() hostapi.State { vm, _ := w.driver.VM("vm-1"); return vm.State }).Should(Equal(hostapi.StateRunning))
}

func TestTheFailoverClusterStartsItsVMsItself(t *testing.T) {
	w := newFreshWorld(t)
	w.driver.Join("fc-1")
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.driver.Boot()
	w.restart()
	before := len(w.ops())
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.kill()
	w.Expect(w.ops()).To(HaveLen(before))
}

func TestAHostThatDoesNotAnswerStartsNothing(t *testing.T) {
	w := newFreshWorld(t)
	w.driver.FailNext("Inventory", hostapi.Errorf(hostapi.HostUnreachable, "Inventory", "", "no answer"))
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	w.Expect(w.ops()).To(BeEmpty())
}
