package simulated_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestFirmwareIsToldWhoseBootLoadersToStart(t *testing.T) {
	for os, want := range map[hostapi.OS]fabricapi.SecureBootTemplate{
		hostapi.Linux:   "272e7447-90a4-4563-a4b9-8e4ab00526ce",
		hostapi.Windows: "1734c6e8-3154-4dda-ba5f-a874cc483422",
	} {
		t.Run(string(os), func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, true)
			id := hostapi.VMID("0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b")
			request := hostapi.EnsureVMRequest{
				Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "a", Owner: "team/a", OS: os,
				Processors: 2, MemoryMiB: 1024, Power: hostapi.PowerOff,
				Disks: []hostapi.Disk{{Name: "boot", Volume: h.Site().Volumes[0], Bytes: 1 << 30}},
			}
			template := func() fabricapi.SecureBootTemplate {
				_, err := h.Driver().EnsureVM(t.Context(), request)
				g.Expect(err).NotTo(HaveOccurred())
				vm, err := h.eye.GetVM(t.Context(), h.guid(id))
				g.Expect(err).NotTo(HaveOccurred())
				return vm.SecureBoot
			}
			g.Expect(template()).To(Equal(want))

			_, err := h.eye.ModifyVM(t.Context(), fabricapi.ModifyVMRequest{
				GUID: h.guid(id), Processors: 2, MemoryMiB: 1024, SecureBoot: map[bool]fabricapi.SecureBootTemplate{
					true: fabricapi.SecureBootUEFI, false: fabricapi.SecureBootWindows,
				}[os == hostapi.Windows],
			})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(template()).To(Equal(want), "somebody else's change is taken back")
		})
	}
}
