package virtualmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (e *estate) pass(d time.Duration) {
	e.Clock.(*clocktesting.FakePassiveClock).SetTime(e.Clock.Now().Add(d))
}

// become changes a host as everybody knows it.
func (e *estate) become(t *testing.T, name string, change func(*capstanv1.HyperVHost)) {
	t.Helper()
	g := NewWithT(t)
	for i := range e.hosts {
		h := &e.hosts[i]
		if h.Name != name {
			continue
		}
		change(h)
		known := &capstanv1.HyperVHost{}
		g.Expect(e.Client.Get(t.Context(), client.ObjectKeyFromObject(h), known)).To(Succeed())
		known.Spec, known.Status = h.Spec, h.Status
		g.Expect(e.Client.Update(t.Context(), known)).To(Succeed())
	}
}

// fallSilent has a host have been silent for an hour.
func (e *estate) fallSilent(t *testing.T, name string) {
	t.Helper()
	e.become(t, name, func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
		h.Status.Conditions[0].LastTransitionTime = metav1.NewTime(e.Clock.Now().Add(-time.Hour))
	})
}

func (e *estate) answer(t *testing.T, name string) {
	t.Helper()
	e.become(t, name, func(h *capstanv1.HyperVHost) {
		conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	})
}

// look is a reconcile of a VM by a manager that has just been elected.
func (e *estate) look(t *testing.T, vm *capstanv1.VirtualMachine) *wait {
	t.Helper()
	g := NewWithT(t)
	e.misses = misses{}
	e.pass(time.Minute)
	s := &scope{vm: vm, was: vm.Status.Phase, hosts: e.hosts}
	step := e.observe
	if !vm.DeletionTimestamp.IsZero() {
		step = e.remove
	}
	waiting, err := step(t.Context(), s)
	g.Expect(err).NotTo(HaveOccurred())
	return waiting
}

func TestTheHostThatHadAMovedVMIsWaitedForHoweverLongItIsSilent(t *testing.T) {
	there := heldVM(hostapi.StateRunning, "a")
	for name, deleted := range map[string]bool{"which is wanted": false, "which is deleted": true} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, map[string]hostapi.VM{"hv2": there})
			vm := missedVM(capstanv1.VMRunning, seedless)
			if deleted {
				isDeleted(vm)
			}
			tombstones := func() []capstanv1.Tombstone {
				list := &capstanv1.TombstoneList{}
				g.Expect(e.Client.List(t.Context(), list)).To(Succeed())
				return list.Items
			}
			g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonMovedElsewhere))
			g.Expect(vm.Status.SeenElsewhere).To(Equal(&capstanv1.VMSighting{Host: "hv2"}))

			e.fallSilent(t, "hv2")
			e.fallSilent(t, "hv3")
			waiting := e.look(t, vm)
			g.Expect(waiting).NotTo(BeNil())
			g.Expect(waiting.reason).To(Equal(capstanv1.ReasonHostUnreachable))
			g.Expect(waiting.message).To(SatisfyAll(ContainSubstring("host hv2 does not answer, and may have the VM"), ContainSubstring("spec.lost: true on HyperVHost hv2"), Not(ContainSubstring("until"))))
			g.Expect(tombstones()).To(BeEmpty())

			e.become(t, "hv2", func(h *capstanv1.HyperVHost) { h.Spec.Lost = true })
			waiting = e.look(t, vm)
			if !deleted {
				g.Expect(waiting.reason).To(Equal(capstanv1.ReasonVMNotFound))
				isDeleted(vm)
				waiting = e.look(t, vm)
			}
			g.Expect(waiting).To(BeNil())
			g.Expect(tombstones()).To(HaveExactElements(HaveField("Spec", SatisfyAll(HaveField("ID", string(movedID)), HaveField("Host", "hv2")))))
		})
	}
}

func TestAMovedVMIsGoneOnceTheHostThatHadItSaysSo(t *testing.T) {
	g := NewWithT(t)
	e := newEstate(t, map[string]hostapi.VM{"hv2": heldVM(hostapi.StateRunning, "a")})
	vm := missedVM(capstanv1.VMRunning, isDeleted)
	g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonMovedElsewhere))
	e.fallSilent(t, "hv2")
	g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonHostUnreachable))
	e.answer(t, "hv2")
	e.holders["hv2"].vms = nil
	g.Expect(e.look(t, vm)).To(BeNil())
	g.Expect(vm.Status.SeenElsewhere).To(BeNil())
	list := &capstanv1.TombstoneList{}
	g.Expect(e.Client.List(t.Context(), list)).To(Succeed())
	g.Expect(list.Items).To(BeEmpty())
}

func TestThatAMovedVMIsBackDoesNotClearTheHostThatHadIt(t *testing.T) {
	g := NewWithT(t)
	there := heldVM(hostapi.StateRunning, "a")
	e := newEstate(t, map[string]hostapi.VM{"hv2": there})
	vm := missedVM(capstanv1.VMRunning, seedless)
	g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonMovedElsewhere))
	e.fallSilent(t, "hv2")
	e.holders["hv1"].vms = []hostapi.VM{there}
	g.Expect(e.look(t, vm)).To(BeNil(), "it stands")
	g.Expect(vm.Status.SeenElsewhere).NotTo(BeNil(), "a copy of it may come back")

	gone := vm.DeepCopy()
	isDeleted(gone)
	g.Expect(e.look(t, gone).reason).To(Equal(capstanv1.ReasonDeleting))
	g.Expect(gone.Status.RemovalHost).To(Equal("hv1"))
	g.Expect(e.look(t, gone).message).To(ContainSubstring("host hv2 does not answer"))

	e.holders["hv1"].vms = []hostapi.VM{there}
	e.answer(t, "hv2")
	g.Expect(e.look(t, vm)).To(BeNil())
	g.Expect(vm.Status.SeenElsewhere).NotTo(BeNil(), "there are two of it")
	e.holders["hv2"].vms = nil
	g.Expect(e.look(t, vm)).To(BeNil())
	g.Expect(vm.Status.SeenElsewhere).To(BeNil())
}

func TestTheTombstoneOfAVMThatIsBackIsForWhoHasIt(t *testing.T) {
	there := heldVM(hostapi.StateRunning, "a")
	lost := func(h *capstanv1.HyperVHost) { h.Spec.Lost = true }
	for name, tc := range map[string]struct {
		// deleted tells that it is first found to be back when it is to be removed.
		deleted bool
		ends    func(e *estate, vm *capstanv1.VirtualMachine)
		buried  string
	}{
		"its host is declared lost": {ends: func(e *estate, _ *capstanv1.VirtualMachine) { e.become(t, "hv1", lost) }, buried: "hv1"},
		"its host is presumed lost": {
			ends: func(e *estate, vm *capstanv1.VirtualMachine) {
				e.fallSilent(t, "hv1")
				metav1.SetMetaDataAnnotation(&vm.ObjectMeta, capstanv1.PresumedLostAnnotation, "2026-11-22T12:00:00Z")
			},
			buried: "hv1",
		},
		"its host is declared lost while it removes the VM": {
			deleted: true,
			ends: func(e *estate, _ *capstanv1.VirtualMachine) {
				e.become(t, "hv1", lost)
			},
			buried: "hv1",
		},
		"it is missed again, and its host declared lost": {
			ends: func(e *estate, vm *capstanv1.VirtualMachine) {
				e.holders["hv1"].vms = nil
				NewWithT(t).Expect(e.look(t, vm).message).To(ContainSubstring("host hv2 does not answer"))
				e.become(t, "hv1", lost)
			},
			buried: "hv2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, map[string]hostapi.VM{"hv2": there})
			vm := missedVM(capstanv1.VMRunning, seedless)
			g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonMovedElsewhere))
			e.fallSilent(t, "hv2")
			e.holders["hv1"].vms = []hostapi.VM{there}
			if tc.deleted {
				isDeleted(vm)
				g.Expect(e.look(t, vm).reason).To(Equal(capstanv1.ReasonDeleting))
			} else {
				g.Expect(e.look(t, vm)).To(BeNil(), "it stands")
			}
			tc.ends(e, vm)
			isDeleted(vm)
			g.Expect(e.look(t, vm)).To(BeNil())
			list := &capstanv1.TombstoneList{}
			g.Expect(e.Client.List(t.Context(), list)).To(Succeed())
			g.Expect(list.Items).To(HaveExactElements(HaveField("Spec.Host", tc.buried)))
		})
	}
}

func TestAHostThatCannotSayWhatItHoldsEndsNothingForEver(t *testing.T) {
	g := NewWithT(t)
	e := newEstate(t, nil)
	e.become(t, "hv2", func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonAgentCertificateMismatch, "another certificate")
	})
	vm := missedVM(capstanv1.VMRunning, isDeleted)
	s := &scope{vm: vm, was: vm.Status.Phase, hosts: e.hosts}
	waiting, err := e.remove(t.Context(), s)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(waiting.message).To(SatisfyAll(
		ContainSubstring("host hv2 cannot be asked (AgentCertificateMismatch: another certificate)"), ContainSubstring("until 2026-11-22T12:08:00Z"), Not(ContainSubstring("spec.lost")),
	))
	e.pass(e.HostLossTimeout)
	g.Expect(e.remove(t.Context(), s)).To(BeNil())
}

func TestAVerdictStandsWhileAllHostsAreAsked(t *testing.T) {
	unknown := func(reason string) func(*capstanv1.VirtualMachine) {
		return func(vm *capstanv1.VirtualMachine) {
			conditions.Unknown(vm, capstanv1.RunningCondition, reason, "as it was")
			conditions.Unknown(vm, capstanv1.ReadyCondition, reason, "as it was")
		}
	}
	goes := func(vm *capstanv1.VirtualMachine) { isDeleted(vm); vm.Status.Phase = capstanv1.VMDeleting }
	for name, tc := range map[string]struct {
		vm     *capstanv1.VirtualMachine
		stands bool
	}{
		"that it is nowhere":                          {missedVM(capstanv1.VMRunning, seedless, unknown(capstanv1.ReasonVMNotFound)), true},
		"that it was moved":                           {missedVM(capstanv1.VMRunning, seedless, unknown(capstanv1.ReasonMovedElsewhere)), true},
		"that somebody is waited for":                 {missedVM(capstanv1.VMRunning, seedless, unknown(capstanv1.ReasonHostUnreachable)), true},
		"that it was moved, in a deletion":            {missedVM(capstanv1.VMRunning, goes, unknown(capstanv1.ReasonMovedElsewhere)), true},
		"none yet":                                    {missedVM(capstanv1.VMRunning, seedless, unknown(capstanv1.ReasonReady)), false},
		"of before its deletion":                      {missedVM(capstanv1.VMRunning, isDeleted, unknown(capstanv1.ReasonMovedElsewhere)), false},
		"that its removal waits for something else":   {missedVM(capstanv1.VMRunning, goes, unknown(capstanv1.ReasonDeleting)), false},
		"none, of a VM whose status was lost with it": {missedVM("", seedless), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, nil)
			first := missedVM(capstanv1.VMRunning, seedless, func(vm *capstanv1.VirtualMachine) { vm.Name = "first" })
			var waiting *wait
			s := &scope{vm: tc.vm, was: tc.vm.Status.Phase, hosts: e.hosts}
			before := tc.vm.DeepCopy()
			look := func() {
				var err error
				waiting, err = e.lookElsewhere(t.Context(), s)
				g.Expect(err).NotTo(HaveOccurred())
			}
			s.at = &e.hosts[0]
			e.holders["hv3"].listing = func() {
				e.holders["hv3"].listing = nil
				look()
				// One host takes longer than what was heard is fresh.
				e.pass(2 * freshness)
			}
			_, err := e.lookElsewhere(t.Context(), &scope{vm: first, was: capstanv1.VMRunning, at: s.at, hosts: e.hosts})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(waiting).NotTo(BeNil(), "they are being asked")
			g.Expect(waiting.requeue).To(Equal(pollWork))
			s.phase, s.wait = s.was, waiting
			setStatus(s)
			if tc.stands {
				g.Expect(tc.vm.Status).To(Equal(before.Status))
			} else {
				g.Expect(conditions.Get(tc.vm, capstanv1.ReadyCondition).Message).To(ContainSubstring("being asked"))
			}

			look()
			g.Expect(waiting).To(BeNil(), "all have answered")
			g.Expect(e.holders["hv3"].listed).To(Equal(1), "what the other found is taken")
		})
	}
}
