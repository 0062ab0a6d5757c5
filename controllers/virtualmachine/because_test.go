package virtualmachine

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/placement"
)

func TestADecisionTellsWhyHere(t *testing.T) {
	g := NewWithT(t)
	p, vm := newPlacer(never), machine("a")
	_, err := p.place(vm, asked(vm), []capstanv1.HyperVHost{host("hv1", "8Gi"), host("hv2", "4Gi")}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(p.because(client.ObjectKeyFromObject(vm))).To(Equal("1 of 2 hosts would do; not taken: hv2: OutOfMemory (memory: asked 6144 MiB, has 4096 MiB (hv2))"))
	p.forget(client.ObjectKeyFromObject(vm))
	g.Expect(p.because(client.ObjectKeyFromObject(vm))).To(BeEmpty())
}

func TestWhyNotThereIsToldOfEachHostInTheConditionAloneThatIsAboutIt(t *testing.T) {
	g := NewWithT(t)
	vm := machine("a")
	_, err := newPlacer(never).place(vm, asked(vm), []capstanv1.HyperVHost{host("hv1", "2Gi"), host("hv2", "4Gi")}, nil)
	var u *placement.Unplaceable
	g.Expect(errors.As(err, &u)).To(BeTrue())
	setStatus(&scope{vm: vm, phase: capstanv1.VMPlacing, was: capstanv1.VMPlacing, wait: &wait{
		reason: capstanv1.ReasonOutOfCapacity, message: u.Message, detail: whyNot(u),
	}})
	const each = "hv1: OutOfMemory (memory: asked 6144 MiB, has 2048 MiB (hv1)); hv2: OutOfMemory (memory: asked 6144 MiB, has 4096 MiB (hv2))"
	g.Expect(conditions.Get(vm, capstanv1.PlacedCondition).Message).To(HaveSuffix("; " + each))
	g.Expect(conditions.Get(vm, capstanv1.ReadyCondition).Message).To(And(HavePrefix(u.Message+", since "), Not(ContainSubstring(each))))
}
