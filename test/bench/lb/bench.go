package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

type bench struct {
	settings
	lab   *lblab.Lab
	began time.Time

	// What was measured, nil where nothing was.
	published *publishing
	measured  *measured
}

// measured is what was seen in the laboratory.
type measured struct {
	lost      losses
	crowd     crowd
	takeovers takeovers
}

// measure does what is to be measured in the laboratory.
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
	b.measured = &measured{lost, crowd, takeovers}
	return nil
}

// print prints what was measured, and the result last.
func (b *bench) print() error {
	if b.published != nil {
		b.published.print()
	}
	if b.measured == nil {
		return nil
	}
	lost, crowd := b.measured.lost, b.measured.crowd
	fmt.Println()
	lost.print()
	crowd.print()
	all := b.measured.takeovers.print()
	if b.published == nil {
		return carried(lost.report, crowd.report)
	}
	fmt.Printf("\nRESULT takeover_ms_p50=%d takeover_ms_max=%d failed_requests=%d\n",
		percentile(all, 50).Milliseconds(), percentile(all, 100).Milliseconds(), failed(lost.report, crowd.report))
	return carried(lost.report, crowd.report)
}

// failed counts the requests that failed, and the streams that broke.
func failed(reports ...traffic.Report) int64 {
	var n int64
	for _, r := range reports {
		n += r.Failed + r.Broken
	}
	return n
}

// mostLate is how many requests of a hundred may not have been sent.
const mostLate = 5

// carried fails if the load was not the one that was to be measured.
func carried(reports ...traffic.Report) error {
	var asked, late int64
	for _, r := range reports {
		asked, late = asked+r.Asked, late+r.Late
	}
	if late*100 > (asked+late)*mostLate {
		return fmt.Errorf("%d of %d requests were never sent in want of CPU: this was not the load to be measured, a lower -rate may be", late, asked+late)
	}
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
