package machinectr_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAVolumeReadsAsWhatIsWrongWithIt(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	fault := func() hostapi.VolumeFault {
		inventory, err := h.driver.Inventory(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(inventory.Volumes[1].Fault).To(Equal(hostapi.VolumeHealthy), "the other volume")
		return inventory.Volumes[0].Fault
	}
	path := h.volume("csv1").Path
	g.Expect(fault()).To(Equal(hostapi.VolumeHealthy))
	command(t, "mount", "-o", "remount,ro", path)
	g.Expect(fault()).To(Equal(hostapi.VolumeNoAccess))
	command(t, "mount", "-o", "remount,rw", path)
	g.Expect(fault()).To(Equal(hostapi.VolumeHealthy))
	command(t, "umount", path)
	g.Expect(fault()).To(Equal(hostapi.VolumeDismounted))
	h.Restart()
	g.Expect(fault()).To(Equal(hostapi.VolumeHealthy), "a boot of the host mounts it")
}
