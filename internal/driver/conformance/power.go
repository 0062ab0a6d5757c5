package conformance

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// patience is what a guest that answers gets to shut down.
const patience = time.Minute

func (b *bench) setPower(power hostapi.Power, force bool, timeout time.Duration) (hostapi.VM, error) {
	return b.Driver().SetPower(b.t.Context(), hostapi.SetPowerRequest{
		Stamp: stamp(1), Power: power, Force: force, Timeout: timeout,
	})
}

func (s *suite) power(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		name  string
		from  hostapi.Power
		to    hostapi.Power
		force bool
		want  []hostapi.State
	}{
		{"off to on", hostapi.PowerOff, hostapi.PowerOn, false, []hostapi.State{hostapi.StateStarting, hostapi.StateRunning}},
		{"on to on", hostapi.PowerOn, hostapi.PowerOn, false, []hostapi.State{hostapi.StateRunning}},
		{"on to off", hostapi.PowerOn, hostapi.PowerOff, false, []hostapi.State{hostapi.StateOff}},
		{"on to off by force", hostapi.PowerOn, hostapi.PowerOff, true, []hostapi.State{hostapi.StateOff}},
		{"off to off", hostapi.PowerOff, hostapi.PowerOff, false, []hostapi.State{hostapi.StateOff}},
		{"off to off by force", hostapi.PowerOff, hostapi.PowerOff, true, []hostapi.State{hostapi.StateOff}},
	} {
		s.run(t, c.name, func(b *bench) {
			req := b.ready().request(1)
			req.Power = c.from
			b.ensure(req)
			if c.from == hostapi.PowerOn {
				b.AwaitGuest(vmID(1))
			}
			for range 2 {
				vm, err := b.setPower(c.to, c.force, patience)
				b.Expect(err).NotTo(HaveOccurred())
				b.Expect(vm.State).To(BeElementOf(c.want))
				b.Expect(b.get(1).State).To(BeElementOf(c.want))
			}
		})
	}
	s.run(t, "EnsureVM reaches the power that it is told", func(b *bench) {
		req := b.ready().request(1)
		b.ensure(req)
		b.AwaitGuest(vmID(1))
		req.Power = hostapi.PowerOff
		b.Expect(b.ensure(req).State).To(Equal(hostapi.StateOff))
		req.Power = hostapi.PowerOn
		b.ensure(req)
		b.AwaitGuest(vmID(1))
	})
	s.run(t, "leaves it to the caller to force a guest that hangs", func(b *bench) {
		deafener := able[GuestDeafener](b.t, b.Host, CanDeafenGuest)
		b.ready().ensure(b.request(1))
		b.AwaitGuest(vmID(1))
		deafener.Deafen(vmID(1))
		_, err := b.setPower(hostapi.PowerOff, false, 10*time.Millisecond)
		b.Expect(err).To(of(hostapi.Transient, ""))
		b.Expect(b.get(1)).To(And(
			HaveField("State", Not(Equal(hostapi.StateOff))), HaveField("Heartbeat", Not(Equal(hostapi.HeartbeatOK)))))
		vm, err := b.setPower(hostapi.PowerOff, true, 0)
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(vm.State).To(Equal(hostapi.StateOff))
	})
	s.run(t, "of nobody is NotFound", func(b *bench) {
		_, err := b.setPower(hostapi.PowerOn, false, 0)
		b.Expect(err).To(of(hostapi.NotFound, ""))
	})
	s.run(t, "of no state is refused", func(b *bench) {
		b.ready().ensure(b.request(1))
		_, err := b.setPower("Paused", false, 0)
		b.Expect(err).To(of(hostapi.InvalidArgument, ""))
	})
	s.run(t, "a stand-alone host starts nothing by itself", func(b *bench) {
		cycler := able[PowerCycler](b.t, b.Host, CanRunStandAlone)
		b.ready().ensure(b.request(1))
		b.AwaitGuest(vmID(1))
		before := b.inventory().BootID
		cycler.PowerCycle()
		b.Expect(b.inventory().BootID).NotTo(Equal(before))
		b.Expect(b.get(1).State).To(Equal(hostapi.StateOff))
		b.ensure(b.request(1))
		b.AwaitGuest(vmID(1))
	})
}

func (s *suite) deletion(t *testing.T) {
	t.Helper()
	for _, power := range []hostapi.Power{hostapi.PowerOn, hostapi.PowerOff} {
		s.run(t, "leaves nothing of a VM that is "+string(power), func(b *bench) {
			empty := b.ready().Contents()
			req := b.request(1)
			req.Power = power
			b.ensure(req)
			b.Expect(b.Driver().DeleteVM(b.t.Context(), hostapi.DeleteVMRequest{Stamp: stamp(1)})).To(Succeed())
			b.destroy(1)
			b.Expect(b.Contents()).To(Equal(empty))
			b.Expect(b.list()).To(BeEmpty())
		})
	}
	s.run(t, "of nobody is NotFound", func(b *bench) {
		b.Expect(b.Driver().DeleteVM(b.t.Context(), hostapi.DeleteVMRequest{Stamp: stamp(1)})).To(of(hostapi.NotFound, ""))
		_, err := b.Driver().GetVM(b.t.Context(), vmID(1))
		b.Expect(err).To(of(hostapi.NotFound, ""))
	})
	s.run(t, "touches no other VM and no image", func(b *bench) {
		b.ready().ensure(b.request(2))
		b.AwaitGuest(vmID(2))
		contents, other := b.Contents(), b.get(2)
		b.ensure(b.request(1))
		b.destroy(1)
		b.Expect(b.Contents()).To(Equal(contents))
		b.Expect(b.get(2)).To(Equal(other))
	})
	s.run(t, "lets the same ID be made again", func(b *bench) {
		b.ready().ensure(b.request(1))
		contents := b.Contents()
		b.destroy(1)
		b.ensure(b.request(1))
		b.Expect(b.Contents()).To(Equal(contents))
	})
	s.run(t, "finds the files of a VM that was removed by hand", func(b *bench) {
		remover := able[VMRemover](b.t, b.Host, CanRemoveVM)
		empty := b.ready().Contents()
		b.ensure(b.request(1))
		remover.RemoveVM(vmID(1))
		b.destroy(1)
		b.Expect(b.Contents()).To(Equal(empty))
	})
}
