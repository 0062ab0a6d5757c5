package lb

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

func TestAVIPOfIPv6IsHeldAnsweredAndTakenOver(t *testing.T) {
	w := newWorld(t, 2)
	plan, vip := w.Plan6(), lblab.Six(lblab.VIP)
	at := netip.AddrPortFrom(vip, lblab.Port)
	ask := func() error { _, err := w.Try(w.ctx, at); return err }
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.Eventually(ask).Should(Succeed())

	holder, others, err := w.Holder(w.ctx, vip)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(holder.PowerOff()).To(Succeed())
	w.Eventually(others[0].Holds).WithArguments(vip).WithPolling(often).Should(BeTrue())
	w.Eventually(ask).Should(Succeed())
	w.Expect(holder.PowerOn()).To(Succeed())
	w.Expect(holder.Redial()).To(Succeed())
	w.Eventually(func(g Gomega) {
		status, err := holder.Status(w.ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status.VIPs).To(ConsistOf(HaveField("Role", lbapi.RoleStandby)))
	}).Should(Succeed())
	w.Expect(w.Holders(vip)).To(ConsistOf(others[0]))

	plan.Frontends[0].AllowedSources = []string{"2001:db8::/32", "192.0.2.0/24"}
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.Eventually(ask).Should(HaveOccurred())
	plan.Frontends[0].AllowedSources = []string{lblab.Network6.String()}
	w.Expect(w.Apply(w.ctx, plan)).To(Succeed())
	w.Eventually(ask).Should(Succeed())
}
