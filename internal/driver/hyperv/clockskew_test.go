package hyperv_test

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestClockSkewAndDaylightSavingAreNoBoot(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	bootID := func() string {
		t.Helper()
		inventory, err := h.driver.Inventory(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		return inventory.BootID
	}
	before := bootID()
	for _, minutes := range []int{60, 120, -480, 330} {
		h.world.SetZone("HV1", minutes)
		g.Expect(bootID()).To(Equal(before), "%d", minutes)
	}
	h.world.PowerCycle("HV1")
	g.Expect(bootID()).NotTo(Equal(before))
}
