package fabric_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func drop[T any](_ T, err error) error { return err }

// TestHostsRefuseWhatHyperVRefuses makes a running VM "a" and a VM "b" that is
// off on host hv1, and asks for something that cannot be.
func TestHostsRefuseWhatHyperVRefuses(t *testing.T) {
	define := fabricapi.DefineVMRequest{Name: "c", ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024}
	nic := fabricapi.NIC{Switch: fabric.DefaultSwitch, MAC: "02:00:00:00:00:09"}
	cases := []struct {
		name string
		code fabricapi.Code
		try  func(l *lab, h *fabric.Host, on, off fabricapi.VM) error
	}{
		{"processors of a running VM", fabricapi.InvalidState, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.ModifyVM(ctx, fabricapi.ModifyVMRequest{GUID: on.GUID, Processors: 3, MemoryMiB: 2048}))
		}},
		{"more processors than the host has", fabricapi.TooManyProcessors, func(_ *lab, h *fabric.Host, _, off fabricapi.VM) error {
			return drop(h.ModifyVM(ctx, fabricapi.ModifyVMRequest{GUID: off.GUID, Processors: 65, MemoryMiB: 2048}))
		}},
		{"more memory at run time than is free", fabricapi.OutOfMemory, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.ModifyVM(ctx, fabricapi.ModifyVMRequest{GUID: on.GUID, Processors: 2, MemoryMiB: 1 << 20}))
		}},
		{"start with no memory free", fabricapi.OutOfMemory, func(l *lab, h *fabric.Host, _, off fabricapi.VM) error {
			_, err := h.ModifyVM(ctx, fabricapi.ModifyVMRequest{GUID: off.GUID, Processors: 2, MemoryMiB: 1 << 20})
			l.Expect(err).NotTo(HaveOccurred())
			return drop(h.StartVM(ctx, fabricapi.VMRef{GUID: off.GUID}))
		}},
		{"an odd number of MiB", fabricapi.InvalidParameter, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			odd := define
			odd.MemoryMiB = 1025
			return drop(h.DefineVM(ctx, odd))
		}},
		{"a volume that is not there", fabricapi.VolumeUnavailable, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			lost := define
			lost.ConfigVolume = "csv9"
			return drop(h.DefineVM(ctx, lost))
		}},
		{"start of a running VM", fabricapi.InvalidState, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.StartVM(ctx, fabricapi.VMRef{GUID: on.GUID}))
		}},
		{"shutdown of a VM that is off", fabricapi.InvalidState, func(_ *lab, h *fabric.Host, _, off fabricapi.VM) error {
			return drop(h.ShutDownVM(ctx, fabricapi.VMRef{GUID: off.GUID}))
		}},
		{"removal of a running VM", fabricapi.InvalidState, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.DestroyVM(ctx, fabricapi.VMRef{GUID: on.GUID}))
		}},
		{"a VM that does not exist", fabricapi.NotFound, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			return drop(h.StartVM(ctx, fabricapi.VMRef{GUID: "nobody"}))
		}},
		{"a switch that is not there", fabricapi.UnknownSwitch, func(_ *lab, h *fabric.Host, _, off fabricapi.VM) error {
			lost := nic
			lost.Switch = "nowhere"
			return drop(h.AddNIC(ctx, fabricapi.AddNICRequest{GUID: off.GUID, NIC: lost}))
		}},
		{"a multicast MAC address", fabricapi.InvalidParameter, func(_ *lab, h *fabric.Host, _, off fabricapi.VM) error {
			group := nic
			group.MAC = "03:00:00:00:00:01"
			return drop(h.AddNIC(ctx, fabricapi.AddNICRequest{GUID: off.GUID, NIC: group}))
		}},
		{"a disk that a VM holds", fabricapi.InUse, func(_ *lab, h *fabric.Host, on, off fabricapi.VM) error {
			return drop(h.AttachDisk(ctx, fabricapi.VMFileRef{GUID: off.GUID, FileRef: on.Disks[0]}))
		}},
		{"deletion of a disk that a VM holds", fabricapi.InUse, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.DeleteFile(ctx, on.Disks[0]))
		}},
		{"a path that is taken", fabricapi.Exists, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on.Disks[0], Bytes: gib}))
		}},
		{"a path out of the volume", fabricapi.InvalidParameter, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			return drop(h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: fabricapi.FileRef{Volume: "csv1", Path: `..\x`}, Bytes: gib}))
		}},
		{"a smaller disk", fabricapi.InvalidParameter, func(_ *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			return drop(h.ResizeDisk(ctx, fabricapi.ResizeDiskRequest{FileRef: on.Disks[0], Bytes: gib}))
		}},
		{"a parent that is not there", fabricapi.MissingParent, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			return drop(h.CreateDisk(ctx, fabricapi.CreateDiskRequest{
				FileRef: fabricapi.FileRef{Volume: "csv1", Path: "x.vhdx"}, Parent: "gone.vhdx"}))
		}},
		{"a disk on a full volume", fabricapi.VolumeFull, func(l *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			l.pull(l.Admin().FillVolume(ctx, fabricapi.FillVolumeRequest{Site: "hv1", Volume: "csv2", FreeBytes: mib}))
			return drop(h.CreateDisk(ctx, fabricapi.CreateDiskRequest{
				FileRef: fabricapi.FileRef{Volume: "csv2", Path: "x.vhdx"}, Bytes: gib}))
		}},
		{"a second ISO in the drive", fabricapi.InUse, func(l *lab, h *fabric.Host, on, _ fabricapi.VM) error {
			for _, path := range []string{"1.iso", "2.iso"} {
				ref := fabricapi.FileRef{Volume: "csv1", Path: path}
				_, err := h.WriteISO(ctx, fabricapi.WriteISORequest{FileRef: ref, Content: []byte(path)})
				l.Expect(err).NotTo(HaveOccurred())
				if _, err := h.AttachISO(ctx, fabricapi.VMFileRef{GUID: on.GUID, FileRef: ref}); err != nil {
					return err
				}
			}
			return nil
		}},
		{"a disk in the DVD drive", fabricapi.InvalidParameter, func(l *lab, h *fabric.Host, _, off fabricapi.VM) error {
			return drop(h.AttachISO(ctx, fabricapi.VMFileRef{GUID: off.GUID, FileRef: l.disk("hv1", "d.vhdx").FileRef}))
		}},
		{"an image from nowhere", fabricapi.UnknownSource, func(_ *lab, h *fabric.Host, _, _ fabricapi.VM) error {
			return drop(h.CopyImage(ctx, fabricapi.CopyImageRequest{Source: "nowhere", Bytes: 1}))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, standAlone())
			running, off := l.vm("hv1", "a"), l.vm("hv1", "b")
			l.start("hv1", running.GUID)
			l.booted("hv1", running.GUID)
			l.Expect(c.try(l, l.Host("hv1"), running, off)).To(refused(c.code))
		})
	}
}

func TestEqualNamesAreAllowed(t *testing.T) {
	l := newLab(t, standAlone())
	for range 2 {
		_, err := l.Host("hv1").DefineVM(ctx, fabricapi.DefineVMRequest{
			Name: "same", ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024})
		l.Expect(err).NotTo(HaveOccurred())
	}
	l.Expect(l.Host("hv1").ListVMs(ctx, fabricapi.StampRef{})).To(HaveLen(2))
	l.Expect(l.Host("hv2").ListVMs(ctx, fabricapi.StampRef{})).To(BeEmpty())
}

func TestMemoryIsHeldOnlyByVMsThatAreOn(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	free := func() int64 {
		host, err := l.Host("hv1").Host(ctx, fabricapi.None{})
		l.Expect(err).NotTo(HaveOccurred())
		return host.MemoryFreeMiB
	}
	all := free()
	l.start("hv1", v.GUID)
	l.Expect(free()).To(Equal(all - 2048))
	_, err := l.Host("hv1").ModifyVM(ctx, fabricapi.ModifyVMRequest{GUID: v.GUID, Processors: 2, MemoryMiB: 4096})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(free()).To(Equal(all - 4096))
	_, err = l.Host("hv1").TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(free()).To(Equal(all))
}
