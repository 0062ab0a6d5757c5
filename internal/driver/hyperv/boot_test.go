package hyperv_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAVMBootsFromItsFirstDisk(t *testing.T) {
	for kind, cluster := range kinds {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, cluster)
			g.Expect(h.stage()).To(Succeed())
			req := h.request()
			req.Power = hostapi.PowerOff
			_, err := h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
			boot := h.disk(id, req.Disks[0])
			g.Expect(h.world.BootFile(string(id))).To(Equal(boot), "not from what was added last")

			order := h.world.Setting(string(id), "BootSourceOrder").([]string)
			g.Expect(order).To(HaveLen(4), "two disks, the seed's drive and a NIC are all in the order")
			h.world.Tamper(string(id), "BootSourceOrder", append(order[1:], order[0]))
			g.Expect(h.world.BootFile(string(id))).NotTo(Equal(boot))
			g.Expect(h.ensure()).To(Succeed())
			g.Expect(h.world.BootFile(string(id))).To(Equal(boot), "before it is started")

			running := h.world.Setting(string(id), "BootSourceOrder").([]string)
			h.world.Tamper(string(id), "BootSourceOrder", append(running[1:], running[0]))
			g.Expect(h.ensure()).To(Succeed(), "of a VM that runs the order is left alone")
			g.Expect(h.world.BootFile(string(id))).NotTo(Equal(boot))
		})
	}
}

func TestANameThatSomebodyChangedIsTakenBackBeforeItsRoleIsMade(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	g.Expect(h.stage()).To(Succeed())
	undisturbed := newHost(t, "fc1")
	g.Expect(undisturbed.stage()).To(Succeed())
	g.Expect(undisturbed.ensure()).To(Succeed())

	for calls := 1; h.world.VMs(string(id)) == 0; calls++ {
		h.client.CrashAfter(calls)
		g.Expect(h.ensure()).NotTo(Succeed())
		h.Restart()
	}
	h.world.Tamper(string(id), "ElementName", "web server, do not touch")
	g.Expect(h.ensure()).To(Succeed())
	g.Expect(h.world.Setting(string(id), "ElementName")).To(HaveSuffix(" " + string(id)))
	g.Expect(h.Contents()).To(Equal(undisturbed.Contents()))
}

func TestANICIsTheSameToItsGuestWhenItsVMIsMadeAnew(t *testing.T) {
	g := NewWithT(t)
	var seen []string
	for range 2 {
		h := newHost(t, "")
		g.Expect(h.stage()).To(Succeed())
		g.Expect(h.ensure()).To(Succeed())
		seen = append(seen, h.world.Adapters(string(id))...)
	}
	g.Expect(seen).To(HaveLen(2))
	g.Expect(seen[0]).To(MatchRegexp(`^\{[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}\}$`))
	g.Expect(seen[1]).To(Equal(seen[0]))
}
