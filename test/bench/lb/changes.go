package main

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// losses are what planned changes cost clients.
type losses struct {
	report            traffic.Report
	servers, frontend []time.Duration
	took              time.Duration
}

// changes gives the VMs one plan after the other while they are asked.
func (b *bench) changes(ctx context.Context) (losses, error) {
	var lost losses
	load, err := b.lab.Load(ctx, b.rate, b.streams)
	if err != nil {
		return lost, err
	}
	began := time.Now()
	plan := b.lab.Plan()
	if lost.servers, err = b.apply(ctx, &plan, b.serverChanges, changeServers); err != nil {
		return lost, err
	}
	b.step("%d server changes under %d connections/s and %d streams", b.serverChanges, b.rate, b.streams)
	if lost.frontend, err = b.apply(ctx, &plan, b.frontendChanges, changeFrontends); err != nil {
		return lost, err
	}
	b.step("%d frontend changes", b.frontendChanges)
	lost.report, err = load.Stop()
	lost.took = time.Since(began)
	return lost, err
}

func (b *bench) apply(ctx context.Context, plan *lbapi.Plan, times int, change func(*lbapi.Plan, int)) ([]time.Duration, error) {
	var took []time.Duration
	for i := range times {
		next := plan.Clone()
		change(&next, i)
		began := time.Now()
		if err := b.lab.Apply(ctx, next); err != nil {
			return took, fmt.Errorf("change %d: %w", i+1, err)
		}
		took = append(took, time.Since(began))
		*plan = next
	}
	return took, nil
}

// changeServers goes round: a third server comes, has another address, is drained,
// and goes. The first two have the streams.
func changeServers(plan *lbapi.Plan, i int) {
	f := &plan.Frontends[0]
	switch i % 4 {
	case 0:
		f.Backends = append(f.Backends, lblab.Server(2))
	case 1:
		f.Backends[2].Address = lblab.Server(3).Address
	case 2:
		f.Backends[2].Drain = true
	case 3:
		f.Backends = f.Backends[:2]
	}
}

// changeFrontends goes round: a second frontend comes, has another port, and goes.
func changeFrontends(plan *lbapi.Plan, i int) {
	switch i % 3 {
	case 0:
		plan.Frontends = append(plan.Frontends[:1:1], lblab.Frontend("second", 80))
	case 1:
		plan.Frontends[1].Port = 81
	case 2:
		plan.Frontends = plan.Frontends[:1]
	}
}

func (l losses) print() {
	r := l.report
	fmt.Printf("%-20s %6s %10s %10s\n", "planned change", "times", "p50 ms", "max ms")
	for _, kind := range []struct {
		name string
		took []time.Duration
	}{{"servers", l.servers}, {"frontends", l.frontend}} {
		if len(kind.took) > 0 {
			fmt.Printf("%-20s %6d %10d %10d\n", kind.name, len(kind.took), percentile(kind.took, 50).Milliseconds(), percentile(kind.took, 100).Milliseconds())
		}
	}
	fmt.Println()
	printLosses(fmt.Sprintf("under %.0f connections/s for %.1f s", float64(r.Asked)/l.took.Seconds(), l.took.Seconds()), r)
}

// printLosses prints what became of requests and streams.
func printLosses(when string, r traffic.Report) {
	fmt.Printf("%s: %d requests, %d failed, %d never sent in want of CPU; latency p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		when, r.Asked, r.Failed, r.Late, ms(r.P50), ms(r.P99), ms(r.Max))
	fmt.Printf("%d streams, %d broken, %d lines returned\n", r.Streams, r.Broken, r.Echoes)
	for reason, n := range r.Errors {
		fmt.Printf("  %d times %s\n", n, reason)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
