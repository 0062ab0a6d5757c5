package conformance

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (b *bench) inventory() hostapi.Inventory {
	b.t.Helper()
	inventory, err := b.Driver().Inventory(b.t.Context())
	b.Expect(err).NotTo(HaveOccurred())
	return inventory
}

func (b *bench) volume(name string) hostapi.Volume {
	b.t.Helper()
	for _, v := range b.inventory().Volumes {
		if v.Name == name {
			return v
		}
	}
	b.t.Fatalf("the inventory has no volume %s", name)
	return hostapi.Volume{}
}

func (s *suite) inventory(t *testing.T) {
	t.Helper()
	s.run(t, "says what the host has", func(b *bench) {
		site, inventory := b.Site(), b.inventory()
		b.Expect(inventory.Host).NotTo(BeEmpty())
		b.Expect(inventory.BootID).NotTo(BeEmpty())
		b.Expect(inventory.HypervisorVersion).NotTo(BeEmpty())
		b.Expect(inventory.Processors).To(BeNumerically(">", 0))
		b.Expect(inventory.MemoryMiB).To(BeNumerically(">=", inventory.MemoryFreeMiB))
		b.Expect(inventory.MemoryFreeMiB).To(BeNumerically(">", 0))
		b.Expect(inventory.Switches).To(ContainElement(site.Switch))
		b.Expect(inventory.Images).To(BeEmpty())
		b.Expect(inventory.VMs).To(BeZero())
		for _, name := range site.Volumes {
			v := b.volume(name)
			b.Expect(v.Fault).To(Equal(hostapi.VolumeHealthy))
			b.Expect(v.Bytes).To(BeNumerically(">=", v.FreeBytes))
			b.Expect(v.FreeBytes).To(BeNumerically(">", 0))
			b.Expect(v.ProvisionedBytes).To(BeZero())
		}
	})
	s.run(t, "counts what VMs take", func(b *bench) {
		b.ready()
		before, req := b.inventory(), b.request(1)
		b.ensure(req)
		during := b.inventory()
		b.Expect(during.VMs).To(Equal(int32(1)))
		b.Expect(before.MemoryFreeMiB - during.MemoryFreeMiB).To(BeNumerically(">=", req.MemoryMiB))
		for _, disk := range req.Disks {
			b.Expect(b.volume(disk.Volume).ProvisionedBytes).To(Equal(disk.Bytes))
		}
		b.destroy(1)
		after := b.inventory()
		b.Expect(after.VMs).To(BeZero())
		b.Expect(after.MemoryFreeMiB).To(Equal(before.MemoryFreeMiB))
		b.Expect(after.Volumes).To(Equal(before.Volumes))
	})
	s.run(t, "keeps the boot ID when the driver is restarted", func(b *bench) {
		before := b.inventory().BootID
		b.Restart()
		b.Expect(b.inventory().BootID).To(Equal(before))
	})
}

func (s *suite) images(t *testing.T) {
	t.Helper()
	s.run(t, "brings an image onto one volume", func(b *bench) {
		site := b.Site()
		var told []int64
		req := b.stageRequest(site.Volumes[0])
		req.Progress = func(done, total int64) {
			b.Expect(done).To(BeNumerically("<=", total))
			told = append(told, done)
		}
		image, err := b.Driver().StageImage(b.t.Context(), req)
		b.Expect(err).NotTo(HaveOccurred())
		want := hostapi.Image{ImageRef: site.Image, Volume: site.Volumes[0], Bytes: site.Bytes}
		b.Expect(image).To(Equal(want))
		b.Expect(b.inventory().Images).To(ConsistOf(want))
		b.Expect(told).NotTo(BeEmpty())
		for i := 1; i < len(told); i++ {
			b.Expect(told[i]).To(BeNumerically(">=", told[i-1]))
		}
	})
	s.run(t, "stages twice as once", func(b *bench) {
		first := b.stage(b.Site().Volumes[0])
		contents := b.Contents()
		b.Expect(b.stage(b.Site().Volumes[0])).To(Equal(first))
		b.Expect(b.Contents()).To(Equal(contents))
	})
	s.run(t, "stages on every volume by itself", func(b *bench) {
		b.stage(b.Site().Volumes[0])
		b.stage(b.Site().Volumes[1])
		b.Expect(b.inventory().Images).To(HaveLen(2))
	})
	s.run(t, "refuses what has another checksum, and keeps nothing of it", func(b *bench) {
		able[SourceSpoiler](b.t, b.Host, CanSpoilSource).SpoilSource()
		_, err := b.Driver().StageImage(b.t.Context(), b.stageRequest(b.Site().Volumes[0]))
		b.Expect(err).To(of(hostapi.Conflict, ""))
		b.Expect(b.Contents()).To(BeEmpty())
		b.Expect(b.inventory().Images).To(BeEmpty())
	})
	for name, c := range map[string]struct {
		spoil func(*hostapi.StageImageRequest)
		class hostapi.Class
	}{
		"no checksum":                  {func(r *hostapi.StageImageRequest) { r.Image.SHA256 = "" }, hostapi.InvalidArgument},
		"no source":                    {func(r *hostapi.StageImageRequest) { r.Source = "" }, hostapi.InvalidArgument},
		"a source that has nothing":    {func(r *hostapi.StageImageRequest) { r.Source += ".gone" }, hostapi.Conflict},
		"a volume that does not exist": {func(r *hostapi.StageImageRequest) { r.Volume = "nowhere" }, hostapi.VolumeFaulted},
	} {
		s.run(t, "refuses "+name, func(b *bench) {
			req := b.stageRequest(b.Site().Volumes[0])
			c.spoil(&req)
			_, err := b.Driver().StageImage(b.t.Context(), req)
			b.Expect(err).To(of(c.class, ""))
			b.Expect(b.Contents()).To(BeEmpty())
		})
	}
}
