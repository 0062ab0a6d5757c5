package lb

import (
	"net/netip"
	"os"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// TestAHandOverFailsNoRequest moves a VIP as the manager does before it deletes the VM
// that has it. A connection that is held open ends with it, which is why there is none.
func TestAHandOverFailsNoRequest(t *testing.T) {
	w := start(t, 2)
	// At any moment some 60 requests are under way.
	cmd := w.Client.Command(w.ctx, programs.Traffic, "ask", "-target", netip.AddrPortFrom(lblab.VIP, lblab.Port).String(),
		"-rate", "200", "-think", "300ms", "-timeout", "10s")
	cmd.Stderr = os.Stderr
	asking, err := traffic.AskThere(cmd)
	w.Expect(err).NotTo(HaveOccurred())
	u := &underLoad{world: w, asking: asking, plan: w.Plan()}
	u.answersFrom(w.WithT, "s0", "s1")
	for range 4 {
		before := u.report(w)
		holder, others, err := w.Holder(w.ctx, lblab.VIP)
		w.Expect(err).NotTo(HaveOccurred())

		plan := w.Plan()
		for i := range plan.Peers {
			if plan.Peers[i].Name == holder.Name {
				plan.Peers[i].Priority = 20
			}
		}
		w.Expect(w.Apply(w.ctx, plan, others...)).To(Succeed())
		plan.VIPs, plan.Frontends = nil, nil
		w.Expect(w.Apply(w.ctx, plan, holder)).To(Succeed())
		next, _, err := w.Holder(w.ctx, lblab.VIP)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(next.Name).NotTo(Equal(holder.Name))
		u.answersFrom(w.WithT, "s0", "s1")
		u.unharmed(w.WithT, before)

		w.Expect(w.Apply(w.ctx, w.Plan())).To(Succeed())
		w.Expect(holder.Command(w.ctx, "nft", "list", "tables").Output()).To(BeEmpty(), "nobody is held back any more")
	}
}
