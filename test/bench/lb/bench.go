package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

type bench struct {
	settings
	lab   *lblab.Lab
	began time.Time
}

// measure does what is to be measured, and prints the result last.
func (b *bench) measure(ctx context.Context) error {
	if err := b.lab.Apply(ctx, b.lab.Plan()); err != nil {
		return err
	}
	if err := b.lab.Settle(ctx); err != nil {
		return err
	}
	lost, err := b.changes(ctx)
	if err != nil {
		return err
	}
	crowd, err := b.crowd(ctx)
	if err != nil {
		return err
	}
	takeovers, err := b.takeovers(ctx)
	if err != nil {
		return err
	}
	fmt.Println()
	lost.print()
	crowd.print()
	all := takeovers.print()
	fmt.Printf("\nRESULT takeover_ms_p50=%d takeover_ms_max=%d failed_requests=%d\n",
		percentile(all, 50).Milliseconds(), percentile(all, 100).Milliseconds(), lost.report.Failed)
	return nil
}

// step prints what is being done, after how many seconds.
func (b *bench) step(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// logs shows the end of what the programs printed.
func (b *bench) logs() {
	for _, vm := range b.lab.VMs {
		for _, service := range vm.Services() {
			log, err := service.Log()
			fmt.Fprintf(os.Stderr, "\n%s on %s (%v):\n%s", service.Name, vm.Name, err, log[max(0, len(log)-2000):])
		}
	}
}

// percentile returns the time within which so many of a hundred were.
func percentile(times []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)*percent+99)/100-1]
}
