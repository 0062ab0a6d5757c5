package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// crowd is what many Services on one load balancer cost.
type crowd struct {
	services                 int
	applied, answered, taken time.Duration
	alone, together          int
	report                   traffic.Report
}

// crowd adds the Services at once, and takes them away again, while others are asked.
func (b *bench) crowd(ctx context.Context) (crowd, error) {
	c := crowd{services: b.services}
	holder, _, err := b.lab.Holder(ctx, lblab.VIP)
	if err != nil {
		return c, err
	}
	if c.alone, err = memory(holder); err != nil {
		return c, err
	}
	// Streams are to be on servers that stay: changes before may have left another one.
	if err := b.lab.Apply(ctx, b.lab.Plan()); err != nil {
		return c, err
	}
	load, err := b.lab.Load(ctx, b.rate, b.streams)
	if err != nil {
		return c, err
	}
	plan := b.lab.Services(b.services)
	began := time.Now()
	if err := b.lab.Apply(ctx, plan); err != nil {
		return c, err
	}
	c.applied = time.Since(began)
	var targets []netip.AddrPort
	for _, f := range plan.Frontends[1:] {
		targets = append(targets, netip.AddrPortFrom(netip.MustParseAddr(f.VIP), uint16(f.Port)))
	}
	for err = ctx.Err(); err == nil; {
		if _, err := b.lab.Try(ctx, targets...); err == nil {
			break
		}
		err = ctx.Err()
	}
	if err != nil {
		return c, err
	}
	c.answered = time.Since(began)
	if c.together, err = memory(holder); err != nil {
		return c, err
	}
	began = time.Now()
	if err := b.lab.Apply(ctx, b.lab.Plan()); err != nil {
		return c, err
	}
	c.taken = time.Since(began)
	c.report, err = load.Stop()
	b.step("%d Services in force after %d ms, gone after %d ms", b.services, c.applied.Milliseconds(), c.taken.Milliseconds())
	return c, err
}

// memory is what the largest HAProxy process of the VM has in memory, in KiB: the
// worker that takes new connections.
func memory(vm *lblab.VM) (most int, err error) {
	pids, err := vm.Processes("haproxy")
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			// An older worker goes with its last connection.
			continue
		}
		kib, err := residentIn(string(status))
		if err != nil {
			return 0, fmt.Errorf("memory of HAProxy on %s: %w", vm.Name, err)
		}
		most = max(most, kib)
	}
	return most, nil
}

// residentIn reads how much a process has in memory, in KiB.
func residentIn(status string) (kib int, err error) {
	_, rest, _ := strings.Cut(status, "VmRSS:")
	_, err = fmt.Sscan(rest, &kib)
	return kib, err
}

func (c crowd) print() {
	fmt.Printf("\n%d Services at once: in force on both VMs after %d ms, all answered after %d ms, gone after %d ms; HAProxy RSS %.1f MiB, %.1f MiB without them\n",
		c.services, c.applied.Milliseconds(), c.answered.Milliseconds(), c.taken.Milliseconds(), float64(c.together)/1024, float64(c.alone)/1024)
	printLosses("meanwhile", c.report)
}
