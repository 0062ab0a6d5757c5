package machinectr_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAConsoleIsToldWithoutWhatATerminalMakesOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"colours": {"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m.\r\n", []string{"[  OK  ] Started ssh.service."}},
		"what is written over": {
			"\x1b[K[    \x1b[0;31m*\x1b[0;1;31m*\x1b[0m] Job a.service/start running (1s / no limit)\r\x1bM\n[***   ] Job a.service/start running (2s / no limit)\r\nfailed\n",
			[]string{"failed"},
		},
		"blank lines and broken text": {"\n\r\n  a\xff\n", []string{"a"}},
		"nothing":                     {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(machinectr.Legible(c.text)).To(Equal(c.want))
		})
	}
}

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
