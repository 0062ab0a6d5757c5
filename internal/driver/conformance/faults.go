package conformance

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// everyMethod calls each method once, for VM 1.
func (b *bench) everyMethod(ctx context.Context, d hostapi.Driver) map[string]error {
	out := map[string]error{}
	_, out["Inventory"] = d.Inventory(ctx)
	_, out["StageImage"] = d.StageImage(ctx, b.stageRequest(b.Site().Volumes[1]))
	_, out["EnsureVM"] = d.EnsureVM(ctx, b.request(1))
	_, out["GetVM"] = d.GetVM(ctx, vmID(1))
	_, out["ListVMs"] = d.ListVMs(ctx)
	_, out["SetPower"] = d.SetPower(ctx, hostapi.SetPowerRequest{Stamp: stamp(1), Power: hostapi.PowerOff, Force: true})
	out["DeleteVM"] = d.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: stamp(1)})
	return out
}

func (s *suite) faults(t *testing.T) {
	t.Helper()
	s.run(t, "a host that does not answer reads as nothing else", func(b *bench) {
		cutter := able[Cutter](b.t, b.Host, CanCutOff)
		b.ready().ensure(b.request(1))
		contents := b.Contents()
		cutter.SetReachable(false)
		for method, err := range b.everyMethod(b.t.Context(), b.Driver()) {
			b.Expect(err).To(of(hostapi.HostUnreachable, ""), method)
		}
		cutter.SetReachable(true)
		b.Expect(b.Contents()).To(Equal(contents))
		b.ensure(b.request(1))
	})
	s.run(t, "a call that is given up observes nothing", func(b *bench) {
		b.ready().ensure(b.request(1))
		given, up := context.WithCancel(b.t.Context())
		up()
		for method, err := range b.everyMethod(given, b.Driver()) {
			b.Expect(err).To(Satisfy(typed), method)
			b.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.Transient, hostapi.HostUnreachable), method)
		}
		b.Expect(b.get(1).Stamp).To(Equal(stamp(1)))
	})
	s.run(t, "nothing new is made on a faulted volume", func(b *bench) {
		faulter := able[VolumeFaulter](b.t, b.Host, CanFaultVolume)
		volume := b.ready().Site().Volumes[1]
		faulter.FaultVolume(volume)
		b.Expect(b.volume(volume).Fault).NotTo(Equal(hostapi.VolumeHealthy))
		b.Expect(b.tryEnsure(b.request(1))).To(of(hostapi.VolumeFaulted, volume))
		_, err := b.Driver().StageImage(b.t.Context(), b.stageRequest(volume))
		b.Expect(err).To(of(hostapi.VolumeFaulted, volume))
		faulter.ClearVolume(volume)
		b.ensure(b.request(1))
	})
	for i, name := range []string{"boot", "data"} {
		s.run(t, "a VM whose "+name+" disk cannot be read is not gone", func(b *bench) {
			faulter := able[VolumeFaulter](b.t, b.Host, CanFaultVolume)
			empty := b.ready().Contents()
			b.ensure(b.request(1))
			b.AwaitGuest(vmID(1))
			contents := b.Contents()
			volume := b.Site().Volumes[i]
			faulter.FaultVolume(volume)
			vm := b.get(1)
			b.Expect(vm.State).To(Equal(hostapi.StateFailed))
			b.Expect(vm.Disks).To(ContainElement(HaveField("Volume", volume)))
			b.Expect(b.list()).To(HaveLen(1))
			b.Expect(b.tryEnsure(b.request(1))).To(of(hostapi.VolumeFaulted, volume))

			faulter.ClearVolume(volume)
			b.AwaitGuest(vmID(1))
			b.ensure(b.request(1))
			b.Expect(b.Contents()).To(Equal(contents))
			b.destroy(1)
			b.Expect(b.Contents()).To(Equal(empty))
		})
		s.run(t, "a VM whose "+name+" disk cannot be read is deleted once it can", func(b *bench) {
			faulter := able[VolumeFaulter](b.t, b.Host, CanFaultVolume)
			empty := b.ready().Contents()
			b.ensure(b.request(1))
			volume := b.Site().Volumes[i]
			faulter.FaultVolume(volume)
			for range 3 {
				err := b.Driver().DeleteVM(b.t.Context(), hostapi.DeleteVMRequest{Stamp: stamp(1)})
				b.Expect(err).To(of(hostapi.VolumeFaulted, volume))
			}
			_ = b.get(1)
			faulter.ClearVolume(volume)
			b.destroy(1)
			b.Expect(b.Contents()).To(Equal(empty))
		})
	}
	s.run(t, "a disk that is gone is not replaced by an empty one", func(b *bench) {
		remover := able[DiskRemover](b.t, b.Host, CanRemoveDisk)
		empty := b.ready().Contents()
		req := b.request(1)
		req.Power = hostapi.PowerOff
		b.ensure(req)
		remover.RemoveDisk(vmID(1), req.Disks[0])
		contents := b.Contents()
		for _, power := range []hostapi.Power{hostapi.PowerOn, hostapi.PowerOff} {
			req.Power = power
			b.Expect(b.tryEnsure(req)).To(of(hostapi.VolumeFaulted, req.Disks[0].Volume))
		}
		b.Expect(b.Contents()).To(Equal(contents))
		b.destroy(1)
		b.Expect(b.Contents()).To(Equal(empty))
	})
	s.run(t, "a faulted volume keeps no other VM from being gone", func(b *bench) {
		faulter := able[VolumeFaulter](b.t, b.Host, CanFaultVolume)
		req := b.ready().request(1)
		req.Disks = req.Disks[:1]
		b.ensure(req)
		faulter.FaultVolume(b.Site().Volumes[1])
		b.destroy(1)
	})
}

func (s *suite) cluster(t *testing.T) {
	t.Helper()
	s.run(t, "a VM is found, changed and deleted through any node", func(b *bench) {
		peer := able[Cluster](b.t, b.Host, CanClusterHosts).Peer()
		empty := b.ready().Contents()
		b.ensure(b.request(1))
		b.AwaitGuest(vmID(1))
		contents := b.Contents()
		vm, err := peer.EnsureVM(b.t.Context(), b.request(1))
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(vm).To(Equal(b.get(1)))
		b.Expect(vm.Host).To(Equal(b.inventory().Host))
		b.Expect(b.Contents()).To(Equal(contents))
		b.Expect(destroyed(b.t.Context(), peer, 1)).To(Succeed())
		_, err = b.Driver().GetVM(b.t.Context(), vmID(1))
		b.Expect(err).To(of(hostapi.NotFound, ""))
		b.Expect(b.Contents()).To(Equal(empty))
	})
	s.run(t, "an image is staged for all nodes", func(b *bench) {
		peer := able[Cluster](b.t, b.Host, CanClusterHosts).Peer()
		image := b.stage(b.Site().Volumes[0])
		inventory, err := peer.Inventory(b.t.Context())
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(inventory.Images).To(ConsistOf(image))
		b.Expect(inventory.FailoverCluster).To(Equal(b.inventory().FailoverCluster))
		b.Expect(inventory.FailoverCluster).NotTo(BeEmpty())
	})
	s.run(t, "a node that cannot ask its cluster says nothing about it", func(b *bench) {
		c := able[Cluster](b.t, b.Host, CanClusterHosts)
		b.ready().ensure(b.request(1))
		contents := b.Contents()
		c.Isolate(true)
		for method, err := range b.everyMethod(b.t.Context(), b.Driver()) {
			b.Expect(err).To(of(hostapi.HostUnreachable, ""), method)
		}
		_, err := b.Driver().GetVM(b.t.Context(), vmID(2))
		b.Expect(err).To(of(hostapi.HostUnreachable, ""))
		c.Isolate(false)
		b.Expect(b.Contents()).To(Equal(contents))
	})
	s.run(t, "a VM of a lost node is unknown, and then found on another", func(b *bench) {
		c := able[Cluster](b.t, b.Host, CanClusterHosts)
		b.ready().ensure(b.request(1))
		b.AwaitGuest(vmID(1))
		lost, contents := b.inventory().Host, b.Contents()
		c.LoseNode()
		_, err := c.Peer().GetVM(b.t.Context(), vmID(1))
		b.Expect(err).To(of(hostapi.HostUnreachable, ""))
		_, err = c.Peer().EnsureVM(b.t.Context(), b.request(1))
		b.Expect(err).To(of(hostapi.HostUnreachable, ""))
		err = c.Peer().DeleteVM(b.t.Context(), hostapi.DeleteVMRequest{Stamp: stamp(1)})
		b.Expect(err).To(of(hostapi.HostUnreachable, ""))
		vms, err := c.Peer().ListVMs(b.t.Context())
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(vms).To(ConsistOf(HaveField("Stamp", stamp(1))))

		c.FailOver()
		b.AwaitGuest(vmID(1))
		vm, err := c.Peer().EnsureVM(b.t.Context(), b.request(1))
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(vm.Host).NotTo(Equal(lost))
		b.Expect(vm.State).To(Equal(hostapi.StateRunning))
		b.Expect(b.Contents()).To(Equal(contents))
	})
}
