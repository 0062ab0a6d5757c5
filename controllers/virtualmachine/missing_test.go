package virtualmachine

import (
	"context"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const movedID hostapi.VMID = "4a7c4c1e-5a52-4f6b-8e0b-4a1f4c6f1a55"

var missedAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// holder is the agent of a host that holds some VMs, and removes at once.
type holder struct {
	hostapi.Agent
	vms     []hostapi.VM
	listed  int
	listing func()
	deleted []hostapi.VMID
}

func (h *holder) ListVMs(context.Context) ([]hostapi.VM, error) {
	h.listed++
	if h.listing != nil {
		h.listing()
	}
	return h.vms, nil
}

func (h *holder) GetVM(_ context.Context, id hostapi.VMID) (hostapi.VM, error) {
	for _, vm := range h.vms {
		if vm.Stamp.ID == id {
			return vm, nil
		}
	}
	return hostapi.VM{}, hostapi.NoVM("GetVM", id)
}

func (h *holder) DeleteVM(_ context.Context, req hostapi.DeleteVMRequest) error {
	h.deleted = append(h.deleted, req.Stamp.ID)
	h.vms = nil
	return nil
}

// estate is stand-alone hosts, of which hv1 has the place of the VM.
type estate struct {
	*Reconciler
	holders map[string]*holder
	hosts   []capstanv1.HyperVHost
}

func (e *estate) Agent(_ context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return e.holders[host.Name], nil
}

func (e *estate) ObservedAt(string) time.Time { return time.Time{} }

func newEstate(t *testing.T, held map[string]hostapi.VM, silent ...string) *estate {
	t.Helper()
	e := &estate{holders: map[string]*holder{}}
	var objects []client.Object
	for _, name := range []string{"hv1", "hv2", "hv3"} {
		h := host(name, "8Gi")
		if slices.Contains(silent, name) {
			h.Status.Conditions = []metav1.Condition{{
				Type: capstanv1.AgentConnectedCondition, Status: metav1.ConditionFalse, Reason: capstanv1.ReasonHostUnreachable, LastTransitionTime: metav1.NewTime(missedAt.Add(-time.Minute)),
			}}
		}
		e.hosts, e.holders[name] = append(e.hosts, h), &holder{}
		objects = append(objects, h.DeepCopy())
		if vm, ok := held[name]; ok {
			e.holders[name].vms = []hostapi.VM{vm}
		}
	}
	c, clock := fakeClient(t, objects...), clocktesting.NewFakePassiveClock(missedAt)
	e.Reconciler = &Reconciler{
		Client: c, Live: c, Hosts: e, Installation: "here", Clock: clock, HostLossTimeout: 8 * time.Minute,
		Census: &census.Taker{Live: c, Hosts: e, Clock: clock},
	}
	e.prepare()
	return e
}

func heldVM(state hostapi.State, name string) hostapi.VM {
	return hostapi.VM{Stamp: hostapi.Stamp{Installation: "here", ID: movedID}, Name: name, State: state}
}

// missedVM is a VM of hv1 that was in a phase.
func missedVM(was capstanv1.VMPhase, change ...func(*capstanv1.VirtualMachine)) *capstanv1.VirtualMachine {
	vm := machine("a")
	vm.Spec.ID, vm.Spec.Placement = string(movedID), &capstanv1.Placement{Host: "hv1"}
	vm.Status.Phase = was
	for _, c := range change {
		c(vm)
	}
	return vm
}

func seedless(vm *capstanv1.VirtualMachine) { vm.Spec.RetireSeed = true }

func TestAVMIsNotMissingBeforeEveryOtherHostHasSaidThatItDoesNotHaveIt(t *testing.T) {
	const nobodyHasIt = ""
	there, remnant := heldVM(hostapi.StateRunning, "a"), heldVM(hostapi.StatePartial, "")
	for name, tc := range map[string]struct {
		held   map[string]hostapi.VM
		silent []string
		reason string
		says   []string
	}{
		"nobody has it": {reason: nobodyHasIt},
		"its disks are left, and nobody has the VM":        {held: map[string]hostapi.VM{"hv1": remnant}, reason: nobodyHasIt},
		"another host has it":                              {held: map[string]hostapi.VM{"hv2": there}, reason: capstanv1.ReasonMovedElsewhere, says: []string{"host hv1", "host hv2 has it (Running)", "move it back"}},
		"another host has it, and disks were left":         {held: map[string]hostapi.VM{"hv1": remnant, "hv2": there}, reason: capstanv1.ReasonMovedElsewhere},
		"another host has it, and is off":                  {held: map[string]hostapi.VM{"hv3": heldVM(hostapi.StateOff, "a")}, reason: capstanv1.ReasonMovedElsewhere},
		"another host has it, while a third one is silent": {held: map[string]hostapi.VM{"hv3": there}, silent: []string{"hv2"}, reason: capstanv1.ReasonMovedElsewhere},
		"a host that may have it is silent": {
			silent: []string{"hv2"}, reason: capstanv1.ReasonHostUnreachable,
			says: []string{"host hv2 does not answer", "spec.lost: true on HyperVHost hv2", "until 2026-11-22T12:07:00Z"},
		},
		"two that may have it are silent": {silent: []string{"hv2", "hv3"}, reason: capstanv1.ReasonHostUnreachable, says: []string{"and 1 more place"}},
	} {
		for as, vm := range map[string]func() *capstanv1.VirtualMachine{
			"of a machine":                    func() *capstanv1.VirtualMachine { return missedVM(capstanv1.VMRunning, seedless) },
			"of one that would be made again": func() *capstanv1.VirtualMachine { return missedVM(capstanv1.VMRunning) },
			"of one that came up once":        func() *capstanv1.VirtualMachine { return missedVM(capstanv1.VMStarting) },
			"of one whose status was lost":    func() *capstanv1.VirtualMachine { return missedVM("", seedless) },
		} {
			t.Run(name+" "+as, func(t *testing.T) {
				g := NewWithT(t)
				e := newEstate(t, tc.held, tc.silent...)
				s := &scope{vm: vm(), hosts: e.hosts}
				s.was = s.vm.Status.Phase
				observed, err := e.observe(t.Context(), s)
				g.Expect(err).NotTo(HaveOccurred())
				for name, h := range e.holders {
					asked := h.listed > 0
					g.Expect(asked).To(Equal(!slices.Contains(tc.silent, name)), "host %s", name)
				}
				switch {
				case tc.reason != nobodyHasIt:
					g.Expect(observed.reason).To(Equal(tc.reason))
					g.Expect(observed.unknown).To(BeTrue(), "nobody has seen it stop")
					for _, says := range tc.says {
						g.Expect(observed.message).To(ContainSubstring(says))
					}
				case s.vm.Spec.RetireSeed:
					g.Expect(observed.reason).To(Equal(capstanv1.ReasonVMNotFound))
				default:
					g.Expect(observed).To(BeNil(), "it is made again")
				}
			})
		}
	}
}

func TestAVMThatIsBeingMadeIsLookedForNowhereElse(t *testing.T) {
	for _, was := range []capstanv1.VMPhase{"", capstanv1.VMPlacing, capstanv1.VMStaging, capstanv1.VMCreating} {
		t.Run(string(was), func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, nil, "hv2")
			s := &scope{vm: missedVM(was), was: was, hosts: e.hosts}
			g.Expect(e.observe(t.Context(), s)).To(BeNil())
			g.Expect(e.holders["hv3"].listed).To(BeZero())
		})
	}
}

// isDeleted makes an object that is being deleted.
func isDeleted(vm *capstanv1.VirtualMachine) {
	vm.DeletionTimestamp = ptr.To(metav1.NewTime(missedAt))
	controllerutil.AddFinalizer(vm, capstanv1.VirtualMachineFinalizer)
}

func TestADeletionIsNotOverBeforeEveryOtherHostHasSaidThatItDoesNotHaveTheVM(t *testing.T) {
	there, remnant := heldVM(hostapi.StateRunning, "a"), heldVM(hostapi.StatePartial, "")
	for name, tc := range map[string]struct {
		held   map[string]hostapi.VM
		silent []string
		was    capstanv1.VMPhase
		// removed tells that the host had agreed to remove it.
		removed bool
		// reason is of what it waits for, or "" if nothing is left.
		reason string
		listed bool
	}{
		"it is there, and removed":                    {held: map[string]hostapi.VM{"hv1": there}, silent: []string{"hv2"}, was: capstanv1.VMRunning},
		"nobody has it":                               {was: capstanv1.VMRunning, listed: true},
		"nobody has it, as a new manager finds":       {was: capstanv1.VMDeleting, listed: true},
		"it was removed, as a new manager finds":      {silent: []string{"hv2"}, was: capstanv1.VMDeleting, removed: true},
		"disks of it are left, nobody has it":         {held: map[string]hostapi.VM{"hv1": remnant}, was: capstanv1.VMRunning, listed: true},
		"another host has it":                         {held: map[string]hostapi.VM{"hv2": there}, was: capstanv1.VMRunning, reason: capstanv1.ReasonMovedElsewhere, listed: true},
		"another host has it, and disks were left":    {held: map[string]hostapi.VM{"hv1": remnant, "hv2": there}, was: capstanv1.VMRunning, reason: capstanv1.ReasonMovedElsewhere, listed: true},
		"another host has it, as a new manager finds": {held: map[string]hostapi.VM{"hv2": there}, was: capstanv1.VMDeleting, reason: capstanv1.ReasonMovedElsewhere, listed: true},
		"a host that may have it is silent":           {silent: []string{"hv3"}, was: capstanv1.VMRunning, reason: capstanv1.ReasonHostUnreachable, listed: true},
		"it was never whole":                          {held: map[string]hostapi.VM{"hv1": remnant}, silent: []string{"hv2"}, was: capstanv1.VMCreating},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, tc.held, tc.silent...)
			vm := missedVM(tc.was, isDeleted)
			if tc.removed {
				vm.Status.RemovalHost = "hv1"
			}
			var waiting *wait
			// What is asked for is done by the second look.
			for range 3 {
				s := &scope{vm: vm, was: vm.Status.Phase, hosts: e.hosts}
				var err error
				waiting, err = e.remove(t.Context(), s)
				g.Expect(err).NotTo(HaveOccurred())
				vm.Status.Phase = capstanv1.VMDeleting
				asked := vm.Status.RemovalHost != ""
				g.Expect(asked).To(Equal(tc.removed || len(e.holders["hv1"].deleted) > 0), "it is recorded")
			}
			listed := false
			for name, h := range e.holders {
				listed = listed || h.listed > 0
				if name != "hv1" || tc.reason != "" {
					g.Expect(h.deleted).To(BeEmpty(), "nothing is removed from host %s", name)
				}
			}
			g.Expect(listed).To(Equal(tc.listed))
			if tc.reason == "" {
				g.Expect(waiting).To(BeNil(), "nothing is left of it")
				return
			}
			g.Expect(waiting).NotTo(BeNil())
			g.Expect(waiting.reason).To(Equal(tc.reason))
			g.Expect(waiting.message).To(ContainSubstring("host hv1 does not have VM"))
		})
	}
}

func TestADeletionThatWaitsForASilentHostNamesItAndTheWayOut(t *testing.T) {
	for name, tc := range map[string]struct {
		cluster string
		says    string
	}{
		"a host that stands alone": {"", "waiting for an answer, or for spec.lost: true on HyperVHost hv1 if it is gone for good"},
		"a failover cluster":       {"fc1", "waiting for an answer, or for spec.lost: true on each of the HyperVHosts hv1, hv2, hv3 if they are gone for good"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, nil, "hv1", "hv2", "hv3")
			vm := missedVM(capstanv1.VMRunning, isDeleted, func(vm *capstanv1.VirtualMachine) { vm.Spec.Placement.FailoverCluster = tc.cluster })
			for i := range e.hosts {
				e.hosts[i].Status.FailoverCluster = tc.cluster
			}
			waiting, err := e.remove(t.Context(), &scope{vm: vm, was: capstanv1.VMRunning, hosts: e.hosts})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(waiting.reason).To(Equal(capstanv1.ReasonHostUnreachable))
			g.Expect(waiting.message).To(SatisfyAll(ContainSubstring("hv1 does not answer"), ContainSubstring("since 2026-11-22T11:59:00Z"), HaveSuffix(tc.says)))
		})
	}
}
