package virtualmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestWhatHostsSaidBeforeAQuestionWasGivenUpIsNoAnswerToTheNext(t *testing.T) {
	for name, givenUp := range map[string]func(e *estate, look func() (*wait, error)){
		"its host falls silent for a moment": func(e *estate, look func() (*wait, error)) {
			e.fallSilent(t, "hv1")
			// A deletion waits for the word of the host, everything else fails.
			if waiting, err := look(); waiting == nil && err == nil {
				t.Error("the host is not waited for")
			}
			e.answer(t, "hv1")
			e.pass(2 * freshness)
		},
		"nobody looks at it for minutes": func(e *estate, _ func() (*wait, error)) { e.pass(5 * time.Minute) },
	} {
		for as, change := range map[string]func(*capstanv1.VirtualMachine){"of one that is wanted": seedless, "of one that is deleted": isDeleted} {
			t.Run(name+" "+as, func(t *testing.T) {
				g := NewWithT(t)
				e := newEstate(t, nil)
				vm := missedVM(capstanv1.VMRunning, change)
				look := func() (*wait, error) {
					s := &scope{vm: vm, was: vm.Status.Phase, hosts: e.hosts}
					if vm.DeletionTimestamp.IsZero() {
						return e.observe(t.Context(), s)
					}
					return e.remove(t.Context(), s)
				}
				// Somebody else takes the census that this VM is waiting for.
				e.holders["hv3"].listing = func() {
					e.holders["hv3"].listing = nil
					waiting, err := look()
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(waiting.message).To(ContainSubstring("being asked"))
				}
				_, err := e.Census.Since(t.Context(), e.Clock.Now())
				g.Expect(err).NotTo(HaveOccurred())

				givenUp(e, look)
				e.holders["hv2"].vms = []hostapi.VM{heldVM(hostapi.StateRunning, "a")}
				waiting, err := look()
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(waiting).NotTo(BeNil(), "host hv2 has it")
				g.Expect(waiting.reason).To(Equal(capstanv1.ReasonMovedElsewhere))
			})
		}
	}
}
