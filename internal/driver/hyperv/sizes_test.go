package hyperv_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// FuzzSizesAreGivenOrRefused asks for a VM of any size, twice, and then for another one of its data disk. Whatever it is, nothing
// is tried again that can never be, nothing shrinks, and all of it can be deleted.
func FuzzSizesAreGivenOrRefused(f *testing.F) {
	for _, seed := range [][5]int64{
		{2, 1024, 2 * imageBytes, 1 << 30, 2 << 30}, {0, 0, 0, 0, 0}, {-1, -2, -512, -4096, -1},
		{8, 32768, imageBytes, 3 << 20, 64 << 40}, {9, 32770, imageBytes - 1, 3<<20 - 1, 64<<40 + 1},
		{1, 33, imageBytes + 1, 10_500_000_001, 10_500_000_000}, {math.MaxInt32, math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt32, math.MinInt64, math.MinInt64, math.MinInt64, math.MinInt64}, {1, math.MaxInt64 - 1, 1 << 62, 64<<40 - 1, 1},
		{1, 32, imageBytes, 4 << 20, 4<<20 + 511}, {1, 1 << 52, imageBytes, math.MaxInt64 - 4094, 4 << 20},
	} {
		f.Add(int32(seed[0]), seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, processors int32, memoryMiB, boot, data, another int64) {
		g := NewWithT(t)
		h := newHost(t, "fc1")
		g.Expect(h.stage()).To(Succeed())
		empty := h.Contents()
		req := h.request()
		req.Processors, req.MemoryMiB, req.Disks[0].Bytes, req.Disks[1].Bytes = processors, memoryMiB, boot, data
		made, err := h.driver.EnsureVM(t.Context(), req)
		if err != nil {
			g.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.InvalidArgument, hostapi.OutOfCapacity), "%v", err)
			again, err := h.driver.EnsureVM(t.Context(), req)
			g.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.InvalidArgument, hostapi.OutOfCapacity), "%v %v", again, err)
		} else {
			g.Expect([]int64{int64(made.Processors), made.MemoryMiB}).To(Equal([]int64{int64(processors), memoryMiB}))
			expectSizes(g, made, max(boot, imageBytes), data)
			contents := h.Contents()
			again, err := h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(again.Disks).To(Equal(made.Disks))
			g.Expect(h.Contents()).To(Equal(contents))

			req.Disks = slices.Clone(req.Disks)
			req.Disks[1].Bytes = another
			grown, err := h.driver.EnsureVM(t.Context(), req)
			if err != nil {
				g.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.InvalidArgument, hostapi.Conflict), "%v", err)
				grown, err = h.driver.GetVM(t.Context(), id)
				g.Expect(err).NotTo(HaveOccurred())
			}
			expectSizes(g, grown, made.Disks[0].Bytes, made.Disks[1].Bytes)
		}
		inventory, err := h.driver.Inventory(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		for _, v := range inventory.Volumes {
			g.Expect(v.ProvisionedBytes).To(BeNumerically(">=", 0))
		}
		for range 10 {
			if err = h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: req.Stamp}); err != nil {
				break
			}
		}
		g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
		g.Expect(h.Contents()).To(Equal(empty))
	})
}

// expectSizes asserts that disks have at least what was asked for, and at most a sector more.
func expectSizes(g Gomega, vm hostapi.VM, least ...int64) {
	g.Expect(vm.Disks).To(HaveLen(len(least)))
	for i, bytes := range least {
		g.Expect(vm.Disks[i].Bytes % 4096).To(BeZero())
		g.Expect(vm.Disks[i].Bytes).To(BeNumerically(">=", bytes))
	}
}

func TestADiskOfPartOfASectorIsAWholeOneLarger(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	req := h.request()
	req.Disks[1].Bytes = 10_500_000_000
	for range 2 {
		vm, err := h.driver.EnsureVM(t.Context(), req)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(vm.Disks[1].Bytes).To(Equal(int64(10_500_001_792)))
	}
	g.Expect(req.Disks[1].Bytes).To(Equal(int64(10_500_000_000)), "the caller's request is the caller's")
}

func TestAVMThatFindsNoMemoryLeftSaysSo(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	first, second := h.request(), h.request()
	const other = hostapi.VMID("0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6c")
	second.Stamp.ID, second.NICs[0].MAC = other, hostapi.MACAddress(other, 0)
	first.MemoryMiB, second.MemoryMiB = 20480, 20480
	_, err := h.driver.EnsureVM(t.Context(), first)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = h.driver.EnsureVM(t.Context(), second)
	var full *hostapi.Error
	g.Expect(errors.As(err, &full)).To(BeTrue())
	g.Expect([]string{string(full.Class), full.Resource}).To(Equal([]string{string(hostapi.OutOfCapacity), hostapi.ResourceMemory}))
}

func TestAVMIsMeasuredByTheHostThatHasIt(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	g.Expect(h.stage()).To(Succeed())
	g.Expect(h.ensure()).To(Succeed())
	h.world.Migrate(string(id), "HV2", true)
	h.world.Shrink("HV1", 1, 512)
	g.Expect(h.ensure()).To(Succeed(), "its own host has enough")
	h.world.Migrate(string(id), "HV1", true)
	g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.OutOfCapacity))
}
