package conformance

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (s *suite) change(t *testing.T) {
	t.Helper()
	s.run(t, "grows a disk of a running VM", func(b *bench) {
		req := b.ready().request(1)
		b.ensure(req)
		req.Disks[0].Bytes += gib
		req.Disks[1].Bytes += gib
		vm := b.ensure(req)
		b.Expect(vm.Disks[0].Bytes).To(Equal(req.Disks[0].Bytes))
		b.Expect(vm.Disks[1].Bytes).To(Equal(req.Disks[1].Bytes))
		b.Expect(b.volume(req.Disks[1].Volume).ProvisionedBytes).To(Equal(req.Disks[1].Bytes))
	})
	s.run(t, "adds a disk", func(b *bench) {
		req := b.ready().request(1)
		data := req.Disks[1]
		req.Disks = req.Disks[:1]
		b.ensure(req)
		req.Disks = append(req.Disks, data)
		b.Expect(b.ensure(req).Disks).To(HaveLen(2))
	})
	s.run(t, "changes processors and memory of a VM that is off", func(b *bench) {
		req := b.ready().request(1)
		req.Power = hostapi.PowerOff
		b.ensure(req)
		req.Processors, req.MemoryMiB = 3, 3072
		b.Expect(b.ensure(req)).To(And(
			HaveField("Processors", int32(3)), HaveField("MemoryMiB", int64(3072)), HaveField("State", hostapi.StateOff)))
	})
	s.run(t, "changes processors once the VM is off, and not before", func(b *bench) {
		req := b.ready().request(1)
		b.ensure(req)
		b.AwaitGuest(vmID(1))
		contents := b.Contents()
		req.Processors = 3
		b.Expect(b.tryEnsure(req)).To(of(hostapi.Conflict, ""))
		b.Expect(b.Contents()).To(Equal(contents))
		req.Power = hostapi.PowerOff
		b.Expect(b.ensure(req)).To(And(HaveField("Processors", int32(3)), HaveField("State", hostapi.StateOff)))
	})
	for name, change := range map[string]func(*bench, *hostapi.EnsureVMRequest){
		"a disk that shrinks":     func(_ *bench, r *hostapi.EnsureVMRequest) { r.Disks[1].Bytes -= 1 << 20 },
		"a disk that moves":       func(b *bench, r *hostapi.EnsureVMRequest) { r.Disks[1].Volume = b.Site().Volumes[0] },
		"a disk of another image": func(_ *bench, r *hostapi.EnsureVMRequest) { r.Disks[0].Image = nil },
		"a NIC on another switch": func(_ *bench, r *hostapi.EnsureVMRequest) { r.NICs[0].Switch = "elsewhere" },
		"a NIC in another VLAN":   func(_ *bench, r *hostapi.EnsureVMRequest) { r.NICs[0].VLAN = 8 },
	} {
		s.run(t, "refuses "+name, func(b *bench) {
			req := b.ready().request(1)
			b.ensure(req)
			contents := b.Contents()
			change(b, &req)
			b.Expect(b.tryEnsure(req)).To(of(hostapi.Conflict, ""))
			b.Expect(b.Contents()).To(Equal(contents))
		})
	}
}

func (s *suite) seeds(t *testing.T) {
	t.Helper()
	for name, c := range map[string]struct {
		then     func(*hostapi.EnsureVMRequest)
		attached bool
		same     bool
	}{
		"leaves a seed of the same content": {func(*hostapi.EnsureVMRequest) {}, true, true},
		"replaces a seed of other content":  {func(r *hostapi.EnsureVMRequest) { r.Seed = []byte("another") }, true, false},
		"destroys a seed":                   {func(r *hostapi.EnsureVMRequest) { r.Seed = nil }, false, false},
		"keeps a seed nobody has any more":  {func(r *hostapi.EnsureVMRequest) { r.Seed, r.KeepSeed = nil, true }, true, true},
	} {
		for _, power := range []hostapi.Power{hostapi.PowerOn, hostapi.PowerOff} {
			s.run(t, name+" of a VM that is "+string(power), func(b *bench) {
				req := b.ready().request(1)
				req.Power = power
				b.Expect(b.ensure(req).SeedAttached).To(BeTrue())
				contents := b.Contents()
				c.then(&req)
				b.Expect(b.ensure(req).SeedAttached).To(Equal(c.attached))
				after := b.Contents()
				if c.same {
					b.Expect(after).To(Equal(contents))
				} else {
					b.Expect(after).NotTo(Equal(contents))
				}
				if c.attached {
					b.Expect(after).To(HaveLen(len(contents)))
				} else {
					b.Expect(after).To(HaveLen(len(contents) - 1))
				}
				b.ensure(req)
				b.Expect(b.Contents()).To(Equal(after))
			})
		}
	}
	s.run(t, "keeps no seed where there is none", func(b *bench) {
		req := b.ready().request(1)
		req.Seed, req.KeepSeed = nil, true
		b.Expect(b.ensure(req).SeedAttached).To(BeFalse())
	})
	s.run(t, "gives a seed to a VM that had none", func(b *bench) {
		req := b.ready().request(1)
		req.Seed = nil
		b.Expect(b.ensure(req).SeedAttached).To(BeFalse())
		req.Seed = []byte("late")
		b.Expect(b.ensure(req).SeedAttached).To(BeTrue())
	})
}
