package conformance

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (s *suite) create(t *testing.T) {
	t.Helper()
	s.run(t, "makes what the request says", func(b *bench) {
		b.ready()
		req := b.request(1)
		vm := b.ensure(req)
		b.Expect(vm.Stamp).To(Equal(req.Stamp))
		b.Expect(vm.Name).To(Equal(req.Name))
		b.Expect(vm.Owner).To(Equal(req.Owner))
		b.Expect(vm.Host).To(Equal(b.inventory().Host))
		b.Expect(vm.State).To(BeElementOf(hostapi.StateStarting, hostapi.StateRunning))
		b.Expect(vm.Processors).To(Equal(req.Processors))
		b.Expect(vm.MemoryMiB).To(Equal(req.MemoryMiB))
		b.Expect(vm.SeedAttached).To(BeTrue())
		b.Expect(vm.NICs).To(HaveLen(1))
		b.Expect(vm.NICs[0].MAC).To(Equal(req.NICs[0].MAC))
		b.Expect(vm.Disks).To(HaveLen(2))
		for i, disk := range req.Disks {
			b.Expect(vm.Disks[i].Name).To(Equal(disk.Name))
			b.Expect(vm.Disks[i].Volume).To(Equal(disk.Volume))
			b.Expect(vm.Disks[i].Bytes).To(Equal(disk.Bytes))
			b.Expect(vm.Disks[i].FileBytes).To(BeNumerically(">", 0))
			b.Expect(vm.Disks[i].Path).NotTo(BeEmpty())
		}
	})
	s.run(t, "comes up", func(b *bench) {
		b.ready().ensure(b.request(1))
		b.AwaitGuest(vmID(1))
		b.Expect(b.get(1)).To(And(
			HaveField("State", hostapi.StateRunning), HaveField("Heartbeat", hostapi.HeartbeatOK)))
	})
	s.run(t, "makes a VM that stays off", func(b *bench) {
		req := b.ready().request(1)
		req.Power = hostapi.PowerOff
		b.Expect(b.ensure(req).State).To(Equal(hostapi.StateOff))
	})
	s.run(t, "gives a disk without a size that of its image", func(b *bench) {
		req := b.ready().request(1)
		req.Disks[0].Bytes = 0
		b.Expect(b.ensure(req).Disks[0].Bytes).To(Equal(b.Site().Bytes))
		b.Expect(b.ensure(req).Disks[0].Bytes).To(Equal(b.Site().Bytes))
	})
	s.run(t, "called twice is one VM", func(b *bench) {
		b.ready().ensure(b.request(1))
		contents := b.Contents()
		b.Restart()
		b.ensure(b.request(1))
		b.Expect(b.Contents()).To(Equal(contents))
		b.Expect(b.list()).To(HaveLen(1))
	})
	s.run(t, "is told alike by GetVM and ListVMs", func(b *bench) {
		b.ready().ensure(b.request(1))
		b.ensure(b.request(2))
		b.AwaitGuest(vmID(1))
		b.AwaitGuest(vmID(2))
		b.Expect(b.list()).To(ConsistOf(b.get(1), b.get(2)))
	})
	s.run(t, "finds nobody by name", func(b *bench) {
		first, second := b.ready().request(1), b.request(2)
		second.Name = first.Name
		b.ensure(first)
		b.ensure(second)
		b.Expect(b.list()).To(HaveLen(2))
		b.destroy(1)
		b.Expect(b.get(2).Name).To(Equal(first.Name))
	})
	s.run(t, "keeps disks of a VM that was removed by hand", func(b *bench) {
		remover := able[VMRemover](b.t, b.Host, CanRemoveVM)
		b.ready().ensure(b.request(1))
		contents := b.Contents()
		remover.RemoveVM(vmID(1))
		b.Expect(b.get(1).State).To(Equal(hostapi.StatePartial))
		b.Expect(b.list()).To(ConsistOf(HaveField("State", hostapi.StatePartial)))
		b.ensure(b.request(1))
		b.Expect(b.Contents()).To(Equal(contents))
	})
}

// refusals are creations that cannot be, and what they leave: nothing that a
// delete does not take away, and nothing in the way of the right request.
func (s *suite) refusals(t *testing.T) {
	t.Helper()
	for name, c := range map[string]struct {
		spoil    func(*bench, *hostapi.EnsureVMRequest)
		class    hostapi.Class
		resource string
	}{
		"an image that is staged nowhere": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.Disks[0].Image.SHA256 = strings.Repeat("0", 64)
		}, hostapi.Conflict, strings.Repeat("0", 64)},
		"an image that is staged on another volume": {func(b *bench, r *hostapi.EnsureVMRequest) {
			r.Disks[0].Volume = b.Site().Volumes[1]
		}, hostapi.Conflict, ""},
		"an unknown switch": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.NICs[0].Switch = "nowhere"
		}, hostapi.Conflict, "nowhere"},
		"an unknown volume": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.Disks[1].Volume = "nowhere"
		}, hostapi.VolumeFaulted, "nowhere"},
		"more processors than there are": {func(b *bench, r *hostapi.EnsureVMRequest) {
			r.Processors = b.inventory().Processors + 1
		}, hostapi.OutOfCapacity, hostapi.ResourceProcessors},
		"more memory than there is": {func(b *bench, r *hostapi.EnsureVMRequest) {
			r.MemoryMiB = b.inventory().MemoryMiB * 2
		}, hostapi.OutOfCapacity, hostapi.ResourceMemory},
		"a disk that is smaller than its image": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.Disks[0].Bytes = 1
		}, hostapi.InvalidArgument, ""},
		"no disks": {func(_ *bench, r *hostapi.EnsureVMRequest) { r.Disks = nil }, hostapi.InvalidArgument, ""},
		"a seed that is given and kept": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.KeepSeed = true
		}, hostapi.InvalidArgument, ""},
		"a MAC address that is none": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.NICs[0].MAC = "02-00"
		}, hostapi.InvalidArgument, ""},
		"an ID that is a path": {func(_ *bench, r *hostapi.EnsureVMRequest) {
			r.Stamp.ID = "../" + r.Stamp.ID
		}, hostapi.InvalidArgument, ""},
	} {
		s.run(t, name, func(b *bench) {
			b.ready()
			empty := b.Contents()
			bad := b.request(1)
			c.spoil(b, &bad)
			b.Expect(b.tryEnsure(bad)).To(of(c.class, c.resource))
			b.Expect(b.list()).NotTo(ContainElement(HaveField("State", hostapi.StateRunning)))
			b.destroy(1)
			b.Expect(b.Contents()).To(Equal(empty))
			b.ensure(b.request(1))
		})
	}
	s.run(t, "a full volume, until there is room", func(b *bench) {
		filler := able[VolumeFiller](b.t, b.Host, CanFillVolume)
		b.ready()
		filler.FillVolume(b.Site().Volumes[1])
		b.Expect(b.tryEnsure(b.request(1))).To(of(hostapi.OutOfCapacity, hostapi.ResourceVolume))
		_, err := b.Driver().StageImage(b.t.Context(), b.stageRequest(b.Site().Volumes[1]))
		b.Expect(err).To(of(hostapi.OutOfCapacity, hostapi.ResourceVolume))
		filler.EmptyVolume(b.Site().Volumes[1])
		b.ensure(b.request(1))
		b.Expect(b.list()).To(HaveLen(1))
	})
}
