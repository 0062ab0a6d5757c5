package machinectr_test

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestASeedThatWasHalfDestroyedIsDestroyedByTheNextCall(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	req := h.request(1)
	req.Power, req.Seed = hostapi.PowerOff, []byte("secret")
	_, err := h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	folder := h.vmFolder("csv1", req.Stamp.ID)
	disc := filepath.Join(folder, "seed.dvd", "seed.iso")
	command(t, "chattr", "+i", disc)
	t.Cleanup(func() {
		for _, name := range []string{"seed.dvd", "seed.dvd.partial"} {
			if left, _ := filepath.Glob(filepath.Join(folder, name, "seed.iso")); len(left) > 0 {
				command(t, "chattr", "-i", left[0])
			}
		}
	})
	req.Seed = nil
	_, err = h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).To(HaveOccurred(), "the disc cannot be deleted")
	left, err := filepath.Glob(filepath.Join(folder, "*", "seed.iso"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveLen(1))
	command(t, "chattr", "-i", left[0])
	_, err = h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Glob(filepath.Join(folder, "seed*"))).To(BeEmpty())
}
