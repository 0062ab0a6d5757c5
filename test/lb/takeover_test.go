package lb

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

// soon is far beyond what a takeover takes, and within what a machine with other work
// adds to it. How long it takes is what make bench-lb says.
const soon = 3 * time.Second

func TestTheVIPIsAnsweredSoonAfter(t *testing.T) {
	w := start(t, 2)
	moves := func(o lblab.Outage) types.GomegaMatcher { return Not(Equal(o.From)) }
	anywhere := func(lblab.Outage) types.GomegaMatcher { return Not(BeEmpty()) }
	// A VM that was cut off and never knew it has the VIP back if it is the preferred
	// one: both hold it, and the other gives way.
	wantTo := map[string]func(lblab.Outage) types.GomegaMatcher{
		"link cut": anywhere, "power off": moves, "HAProxy death": anywhere, "keepalived death": anywhere, "cable unplugged": moves,
		"HAProxy frozen": moves,
	}
	unplugged := lblab.Fault{
		Name:   "cable unplugged",
		Strike: func(vm *lblab.VM) error { return vm.Unplug() },
		Mend:   func(vm *lblab.VM) error { return vm.Plug() },
	}
	frozen := lblab.Fault{
		Name:   "HAProxy frozen",
		Strike: func(vm *lblab.VM) error { return vm.Halt("haproxy") },
		Mend:   func(vm *lblab.VM) error { return vm.Resume("haproxy") },
	}
	for _, fault := range append(lblab.Faults(), unplugged, frozen) {
		t.Run(fault.Name, func(t *testing.T) {
			g := NewWithT(t)
			outage, err := w.Suffer(w.ctx, fault)
			g.Expect(err).NotTo(HaveOccurred())
			t.Logf("%s to %s, %s without an answer and %s when it was mended, %d of %d requests failed", outage.From, outage.To, outage.Gap, outage.Return, outage.Failed, outage.Failed+outage.Answered)
			g.Expect(outage.Gap).To(BeNumerically("<", soon))
			g.Expect(outage.Return).To(BeNumerically("<", soon), "when it was mended")
			g.Expect(outage.To).To(wantTo[fault.Name](outage))
		})
	}
}

func TestTheDeathOfAnAgentIsNotNoticedByClients(t *testing.T) {
	w := start(t, 2)
	outage, err := w.Suffer(w.ctx, lblab.Fault{
		Name:   "agent death",
		Strike: func(vm *lblab.VM) error { return vm.Kill("capstan-lb") },
		Mend:   func(*lblab.VM) error { return nil },
	})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outage.Failed).To(BeZero())
	w.Expect(outage.To).To(Equal(outage.From))
}
