package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAVMThatLacksSomethingIsNotGone(t *testing.T) {
	vm := &capstanv1.VirtualMachine{}
	vm.Spec.ID = "f7b2"
	for name, c := range map[string]struct {
		seen         *hostapi.VM
		reason, says string
	}{
		"its host has nothing of it":            {nil, capstanv1.ReasonVMNotFound, "its machine must be replaced"},
		"its host has disks alone":              {&hostapi.VM{State: hostapi.StatePartial}, capstanv1.ReasonVMNotFound, "its machine must be replaced"},
		"a network adapter of it has no switch": {&hostapi.VM{State: hostapi.StatePartial, Name: "shop-1"}, capstanv1.ReasonVMFailed, "put back what it lacks"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := goneFor(vm, c.seen)
			g.Expect(w.reason).To(Equal(c.reason))
			g.Expect(w.message).To(And(ContainSubstring("f7b2"), ContainSubstring(c.says)))
		})
	}
}
