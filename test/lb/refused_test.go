package lb

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

func TestAPlanThatCannotBeIsRefusedAndTheOldOneStaysInForce(t *testing.T) {
	u := startUnderLoad(t)
	before, err := u.VMs[0].Status(u.ctx)
	u.Expect(err).NotTo(HaveOccurred())
	for _, broken := range []struct {
		name  string
		spoil func(*lbapi.Plan)
		class lbapi.Class
	}{
		{"with faults", func(p *lbapi.Plan) { p.Frontends[0].Port, p.Frontends[0].Name = 0, "a\nb" }, lbapi.InvalidPlan},
		{"of an older generation", func(p *lbapi.Plan) { p.Generation = before.Generation - 1 }, lbapi.Stale},
		{"with another content", func(p *lbapi.Plan) { p.Generation, p.Frontends = before.Generation, nil }, lbapi.Conflict},
		{"on an interface that is not there", func(p *lbapi.Plan) { p.VIPs[0].Interface = "nosuch0" }, lbapi.ApplyFailed},
	} {
		t.Run(broken.name, func(t *testing.T) {
			g := NewWithT(t)
			plan := u.Plan()
			plan.Generation = before.Generation + 1
			if broken.class == lbapi.Stale {
				// The first generation has none before it.
				g.Expect(u.Apply(u.ctx, u.Plan())).To(Succeed())
				var err error
				before, err = u.VMs[0].Status(u.ctx)
				g.Expect(err).NotTo(HaveOccurred())
			}
			broken.spoil(&plan)
			_, err := u.VMs[0].Apply(u.ctx, plan)
			g.Expect(lbapi.ClassOf(err)).To(Equal(broken.class), "%v", err)
			after, err := u.VMs[0].Status(u.ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(after.Generation).To(Equal(before.Generation))
			g.Expect(after.Hash).To(Equal(before.Hash))
			g.Expect(u.Settle(u.ctx)).To(Succeed())
			u.answersFrom(g, "s0", "s1")
			u.unharmed(g, traffic.Report{})
		})
	}
}
