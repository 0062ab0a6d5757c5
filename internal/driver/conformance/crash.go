package conformance

import (
	"context"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// story is something that is cut off everywhere, and begun again.
type story struct {
	name string
	// before makes what the story starts from.
	before func(*bench)
	// do is one call, or several that a caller repeats from the first.
	do func(context.Context, *bench, hostapi.Driver) error
	// between asserts what has to be true wherever the story was cut off.
	between func(*bench)
}

// expectWhole asserts that a VM that does not say Partial is not, and that none
// has power before its guest can find everything.
func expectWhole(b *bench) {
	b.t.Helper()
	vm, err := b.Driver().GetVM(b.t.Context(), vmID(1))
	if hostapi.Is(err, hostapi.NotFound) {
		return
	}
	b.Expect(err).NotTo(HaveOccurred())
	if vm.State == hostapi.StatePartial {
		return
	}
	b.Expect(vm.Disks).To(HaveLen(2))
	b.Expect(vm.NICs).To(HaveLen(1))
	if vm.State != hostapi.StateOff {
		b.Expect(vm.SeedAttached).To(BeTrue())
	}
}

func ensureStory(name string, from func(*bench), req func(*bench) hostapi.EnsureVMRequest) story {
	return story{name: name, before: from, between: func(*bench) {}, do: func(ctx context.Context, b *bench, d hostapi.Driver) error {
		_, err := d.EnsureVM(ctx, req(b))
		return err
	}}
}

func creation() story {
	s := ensureStory("create", func(b *bench) { b.ready() }, func(b *bench) hostapi.EnsureVMRequest { return b.request(1) })
	s.between = expectWhole
	return s
}

func stories() []story {
	create := func(b *bench) { b.ready().ensure(b.request(1)) }
	return []story{
		{"stage", func(*bench) {}, func(ctx context.Context, b *bench, d hostapi.Driver) error {
			_, err := d.StageImage(ctx, b.stageRequest(b.Site().Volumes[0]))
			return err
		}, func(*bench) {}},
		creation(),
		ensureStory("change", func(b *bench) {
			req := b.ready().request(1)
			req.Disks, req.Power = req.Disks[:1], hostapi.PowerOff
			b.ensure(req)
		}, func(b *bench) hostapi.EnsureVMRequest {
			req := b.request(1)
			req.Processors, req.MemoryMiB, req.Seed = 3, 3072, []byte("another seed")
			req.Disks[0].Bytes += gib
			return req
		}),
		ensureStory("seed destroyed", create, func(b *bench) hostapi.EnsureVMRequest {
			req := b.request(1)
			req.Seed = nil
			return req
		}),
		ensureStory("switched off", func(b *bench) {
			create(b)
			b.AwaitGuest(vmID(1))
		}, func(b *bench) hostapi.EnsureVMRequest {
			req := b.request(1)
			req.Power, req.Processors = hostapi.PowerOff, 4
			return req
		}),
		{"delete", create, func(ctx context.Context, _ *bench, d hostapi.Driver) error { return destroyed(ctx, d, 1) }, func(*bench) {}},
	}
}

// crashes kills the driver after each call that it makes to its backend. Begun
// again, every story has the same end as if nothing had happened, and between
// the two nothing that exists is denied.
func (s *suite) crashes(t *testing.T) {
	t.Helper()
	for _, st := range stories() {
		t.Run(st.name, func(t *testing.T) {
			calls, end := s.undisturbed(t, st)
			for n := range calls {
				s.crash(t, fmt.Sprintf("after %d of %d calls", n, calls), st, n, func(b *bench) {
					b.Restart()
					b.Expect(st.do(b.t.Context(), b, b.Driver())).To(Succeed())
					b.Expect(b.Contents()).To(Equal(end))
				})
			}
		})
	}
	create := creation()
	t.Run("create given up", func(t *testing.T) {
		calls, _ := s.undisturbed(t, create)
		for n := range calls {
			s.crash(t, fmt.Sprintf("after %d of %d calls", n, calls), create, n, func(b *bench) {
				b.Restart()
				b.destroy(1)
				b.Expect(b.Contents()).To(Equal(s.bench(b.t).ready().Contents()))
			})
		}
	})
	t.Run("create gone on by another node", func(t *testing.T) {
		able[Cluster](t, s.newHost(t), CanClusterHosts)
		calls, end := s.undisturbed(t, create)
		for n := range calls {
			s.crash(t, fmt.Sprintf("after %d of %d calls", n, calls), create, n, func(b *bench) {
				peer := able[Cluster](b.t, b.Host, CanClusterHosts).Peer()
				b.Expect(create.do(b.t.Context(), b, peer)).To(Succeed())
				b.Expect(b.Contents()).To(Equal(end))
				b.Restart()
				b.ensure(b.request(1))
				b.Expect(b.Contents()).To(Equal(end))
			})
		}
	})
	t.Run("create killed after every single call", s.crashedAgainAndAgain)
}

// undisturbed returns how many calls a story takes, and its end.
func (s *suite) undisturbed(t *testing.T, st story) (calls int, end []string) {
	t.Helper()
	b := s.bench(t)
	crasher := able[Crasher](t, b.Host, CanCrash)
	st.before(b)
	b.Restart()
	b.Expect(st.do(t.Context(), b, b.Driver())).To(Succeed())
	calls = crasher.Calls()
	b.Expect(calls).To(BeNumerically(">", 0))
	return calls, b.Contents()
}

func (s *suite) crash(t *testing.T, name string, st story, after int, then func(*bench)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		s.points.Add(1)
		b := s.bench(t)
		st.before(b)
		able[Crasher](t, b.Host, CanCrash).CrashAfter(after)
		b.Expect(st.do(t.Context(), b, b.Driver())).NotTo(Succeed())
		b.expectNothingDenied()
		st.between(b)
		then(b)
	})
}

// expectNothingDenied asserts that whatever there is of VM 1 is neither NotFound
// nor missing in the list, by which orphans are found.
func (b *bench) expectNothingDenied() {
	b.t.Helper()
	b.Restart()
	there := false
	for _, line := range b.Contents() {
		there = there || mentions(line, vmID(1))
	}
	_, err := b.Driver().GetVM(b.t.Context(), vmID(1))
	if there {
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(b.list()).To(ConsistOf(HaveField("Stamp", stamp(1))))
	} else {
		b.Expect(err).To(of(hostapi.NotFound, ""))
		b.Expect(b.list()).To(BeEmpty())
	}
}

// crashedAgainAndAgain lets each life of the driver get one call further than
// the one before.
func (s *suite) crashedAgainAndAgain(t *testing.T) {
	create := creation()
	calls, end := s.undisturbed(t, create)
	b := s.bench(t)
	create.before(b)
	crasher := able[Crasher](t, b.Host, CanCrash)
	for n := range 2 * calls {
		s.points.Add(1)
		b.Restart()
		crasher.CrashAfter(n)
		_ = create.do(t.Context(), b, b.Driver())
	}
	b.Restart()
	b.Expect(create.do(t.Context(), b, b.Driver())).To(Succeed())
	b.Expect(b.Contents()).To(Equal(end))
}
