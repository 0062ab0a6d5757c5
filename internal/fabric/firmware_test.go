package fabric_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// from makes a VM whose boot disk is made from an image.
func (l *lab) from(image fabricapi.PublishedImage, template fabricapi.SecureBootTemplate) fabricapi.VM {
	l.t.Helper()
	h := l.Host("hv1")
	parent := on("csv1", "parent.vhdx")
	_, err := h.CopyImage(ctx, fabricapi.CopyImageRequest{FileRef: parent, Source: image.Source, Bytes: image.FileBytes})
	l.Expect(err).NotTo(HaveOccurred())
	disk := on("csv1", `a\boot.vhdx`)
	_, err = h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: disk, Parent: parent.Path})
	l.Expect(err).NotTo(HaveOccurred())
	v, err := h.DefineVM(ctx, fabricapi.DefineVMRequest{
		Name: "a", ConfigVolume: "csv1", Processors: 2, MemoryMiB: 2048, SecureBoot: template,
	})
	l.Expect(err).NotTo(HaveOccurred())
	v, err = h.AttachDisk(ctx, fabricapi.VMFileRef{GUID: v.GUID, FileRef: disk})
	l.Expect(err).NotTo(HaveOccurred())
	return v
}

func TestFirmwareStartsWhatIsSignedForItsTemplate(t *testing.T) {
	for name, tc := range map[string]struct {
		os       string
		template fabricapi.SecureBootTemplate
		boots    bool
	}{
		"Linux":                                  {"Linux", fabricapi.SecureBootUEFI, true},
		"Windows":                                {"Windows", fabricapi.SecureBootWindows, true},
		"Windows, with what a VM has by default": {"Windows", "", true},
		"Linux, with what a VM has by default":   {"Linux", "", false},
		"Linux, with the template of Windows":    {"Linux", fabricapi.SecureBootWindows, false},
		"Windows, with the template of Linux":    {"Windows", fabricapi.SecureBootUEFI, false},
	} {
		t.Run(name, func(t *testing.T) {
			image := fabric.SimulatedImage(`\\there\image.vhdx`, tc.os, "v1.36.3", 10*gib)
			topology := cluster()
			topology.Images = []fabricapi.PublishedImage{image}
			l := newLab(t, topology)
			v := l.from(image, tc.template)
			l.start("hv1", v.GUID)
			l.clock.Step(bootTime)
			console := func() []string {
				v, err := l.Host("hv1").GetVM(ctx, fabricapi.VMRef{GUID: v.GUID})
				l.Expect(err).NotTo(HaveOccurred())
				return v.Console
			}
			if tc.boots {
				l.Eventually(console, 5*time.Second).Should(ContainElement("hello from a"))
				return
			}
			l.Eventually(console, 5*time.Second).Should(ContainElement(ContainSubstring("the boot loader of " + tc.os + " is not signed for the secure boot template")))
			l.Expect(l.guests.lines()).To(BeEmpty())
			now, err := l.Host("hv1").GetVM(ctx, fabricapi.VMRef{GUID: v.GUID})
			l.Expect(err).NotTo(HaveOccurred())
			l.Expect(now.State).To(Equal(fabricapi.Running))
			l.Expect(now.Heartbeat).To(BeEmpty())
		})
	}
}

func TestTemplateIsChangedOnlyWhileTheVMIsOff(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	h := l.Host("hv1")
	modify := fabricapi.ModifyVMRequest{GUID: v.GUID, Processors: v.Processors, MemoryMiB: v.MemoryMiB, SecureBoot: fabricapi.SecureBootUEFI}
	changed, err := h.ModifyVM(ctx, modify)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(changed.SecureBoot).To(Equal(fabricapi.SecureBootUEFI))
	l.start("hv1", v.GUID)
	modify.SecureBoot = fabricapi.SecureBootWindows
	_, err = h.ModifyVM(ctx, modify)
	l.Expect(err).To(refused(fabricapi.InvalidState))
	modify.SecureBoot = ""
	_, err = h.ModifyVM(ctx, modify)
	l.Expect(err).NotTo(HaveOccurred())
	_, err = h.DefineVM(ctx, fabricapi.DefineVMRequest{Name: "b", ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024, SecureBoot: "none"})
	l.Expect(err).To(refused(fabricapi.InvalidParameter))
}
