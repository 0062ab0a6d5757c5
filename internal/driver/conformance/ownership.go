package conformance

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (s *suite) ownership(t *testing.T) {
	t.Helper()
	s.run(t, "a foreign VM is neither listed nor touched nor in the way", func(b *bench) {
		forger := able[VMForger](b.t, b.Host, CanForgeVM)
		b.ready()
		forger.AddForeignVM(b.request(1).Name)
		contents := b.Contents()
		b.Expect(b.list()).To(BeEmpty())
		b.ensure(b.request(1))
		b.Expect(b.list()).To(HaveLen(1))
		b.Expect(b.inventory().VMs).To(Equal(int32(1)))
		b.destroy(1)
		b.Expect(b.Contents()).To(Equal(contents))
	})
	s.run(t, "a foreign disk in the way is not touched", func(b *bench) {
		forger := able[DiskForger](b.t, b.Host, CanForgeDisk)
		req := b.ready().request(1)
		forger.AddForeignDisk(vmID(1), req.Disks[0])
		contents := b.Contents()
		b.Expect(b.tryEnsure(req)).To(of(hostapi.NotOwned, ""))
		b.destroy(1)
		b.Expect(b.Contents()).To(Equal(contents))
	})
	theirs := hostapi.Stamp{Installation: "another", ID: vmID(1)}
	for name, try := range map[string]func(*bench) error{
		"EnsureVM": func(b *bench) error {
			req := b.request(1)
			req.Stamp, req.Processors, req.Power, req.Seed = theirs, 3, hostapi.PowerOff, nil
			return b.tryEnsure(req)
		},
		"SetPower": func(b *bench) error {
			_, err := b.Driver().SetPower(b.t.Context(), hostapi.SetPowerRequest{
				Stamp: theirs, Power: hostapi.PowerOff, Force: true})
			return err
		},
		"DeleteVM": func(b *bench) error {
			return b.Driver().DeleteVM(b.t.Context(), hostapi.DeleteVMRequest{Stamp: theirs})
		},
	} {
		s.run(t, name+" leaves another installation's VM alone", func(b *bench) {
			b.ready().ensure(b.request(1))
			contents := b.Contents()
			b.Expect(try(b)).To(of(hostapi.NotOwned, ""))
			b.Expect(b.Contents()).To(Equal(contents))
			b.Expect(b.get(1).Stamp).To(Equal(stamp(1)))
		})
		s.run(t, name+" leaves what is left of another installation's VM alone", func(b *bench) {
			remover := able[VMRemover](b.t, b.Host, CanRemoveVM)
			b.ready().ensure(b.request(1))
			remover.RemoveVM(vmID(1))
			contents := b.Contents()
			b.Expect(try(b)).To(of(hostapi.NotOwned, ""))
			b.Expect(b.Contents()).To(Equal(contents))
		})
	}
	s.run(t, "lists the VMs of every installation", func(b *bench) {
		b.ready().ensure(b.request(1))
		other := b.request(2)
		other.Stamp.Installation = "another"
		b.ensure(other)
		b.Expect(b.list()).To(ConsistOf(HaveField("Stamp", stamp(1)), HaveField("Stamp", other.Stamp)))
	})
}
