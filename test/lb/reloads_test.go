package lb

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// Each change of frontends leaves a worker behind for as long as a connection lasts that
// was made before the next one: here all of them last.
func TestManyChangesOfFrontendsUnderStreamsThatStay(t *testing.T) {
	if !*all {
		t.Skip("takes long: run with -all")
	}
	const changes = 60
	u := startUnderLoad(t)
	holder, _, err := u.Holder(u.ctx, lblab.VIP)
	u.Expect(err).NotTo(HaveOccurred())
	before, alone := u.report(u.WithT), u.memory(holder)
	began, took := time.Now(), time.Duration(0)
	var held []*traffic.Remote
	for i := range changes {
		u.plan = u.plan.Clone()
		u.plan.Frontends = append(u.plan.Frontends, lblab.Frontend(fmt.Sprintf("f%d", i), int32(1000+i)))
		changed := time.Now()
		u.Expect(u.Apply(u.ctx, u.plan)).To(Succeed())
		took += time.Since(changed)
		asking, err := u.Load(u.ctx, 0, 1)
		u.Expect(err).NotTo(HaveOccurred())
		u.Eventually(func(g Gomega) { g.Expect(asking.Report()).To(HaveField("Echoes", BeNumerically(">", 0))) }).Should(Succeed())
		held = append(held, asking)
	}
	workers, err := holder.Processes("haproxy")
	u.Expect(err).NotTo(HaveOccurred())
	most := u.memory(holder)
	t.Logf("%d changes took %s of %s; HAProxy has %d processes and %d MiB, and had %d MiB", changes,
		took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), len(workers), most>>20, alone>>20)
	u.Expect(len(workers)).To(BeNumerically(">", changes), "they would not have stayed")
	// 200 reloads, after which a worker ends, are to fit into a VM of 2 GiB.
	u.Expect(most-alone).To(BeNumerically("<", changes*(8<<20)), "bytes of %d workers", len(workers))
	u.Expect(took).To(BeNumerically("<", changes*2*time.Second))
	u.Expect(u.Try(u.ctx, netip.AddrPortFrom(lblab.VIP, 1000), netip.AddrPortFrom(lblab.VIP, 1000+changes-1))).To(HaveLen(2))

	for i, asking := range held {
		report, err := asking.Stop()
		u.Expect(err).NotTo(HaveOccurred())
		u.Expect(report.Broken).To(BeZero(), "stream of change %d: %v", i, report.Errors)
	}
	u.unharmed(u.WithT, before)
	u.Eventually(func() ([]int, error) { return holder.Processes("haproxy") }).Should(HaveLen(3), "master, worker, and the one of the first streams")
}

// memory is what all processes of HAProxy have together, what they share counted once.
func (w *world) memory(vm *lblab.VM) (pss int) {
	w.t.Helper()
	pids, err := vm.Processes("haproxy")
	w.Expect(err).NotTo(HaveOccurred())
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // It has just ended.
		}
		_, rest, _ := bytes.Cut(text, []byte("\nPss:"))
		kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
		w.Expect(err).NotTo(HaveOccurred())
		pss += kib << 10
	}
	return pss
}
