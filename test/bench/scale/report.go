package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// arrivals is when each cluster was up.
type arrivals struct {
	began time.Time
	mu    sync.Mutex
	after map[client.ObjectKey]time.Duration
}

func newArrivals() *arrivals {
	return &arrivals{began: time.Now(), after: map[client.ObjectKey]time.Duration{}}
}

func (a *arrivals) add(key client.ObjectKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.after[key] = time.Since(a.began)
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.after)
}

// percentile returns the time after which so many of a hundred clusters were up.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}

// reading is what all have used up to a moment.
type reading struct {
	usage    map[string]usage
	requests counters
}

func (b *bench) take(ctx context.Context) (reading, error) {
	used, err := usageOf(b.env.Processes())
	if err != nil {
		return reading{}, err
	}
	requests, err := scrape(ctx, b.env.Config)
	return reading{used, requests}, err
}

// report prints what it took, and returns the last line.
func (b *bench) report(a *arrivals, before, after reading) string {
	times := slices.Sorted(maps.Values(a.after))
	b.screen.Plain("\nUp after: first %.1f s, 50%% %.1f s, 90%% %.1f s, last %.1f s", times[0].Seconds(),
		percentile(times, 50).Seconds(), percentile(times, 90).Seconds(), percentile(times, 100).Seconds())

	b.screen.Plain("\n%-24s %10s %16s %10s %10s", "process", "CPU s", "CPU ms/cluster", "RSS MiB", "peak MiB")
	cpu := map[string]float64{}
	total := 0.0
	for _, name := range slices.Sorted(maps.Keys(after.usage)) {
		now := after.usage[name]
		cpu[name] = (now.cpu - before.usage[name].cpu).Seconds()
		total += cpu[name]
		b.screen.Plain("%-24s %10.1f %16.0f %10d %10d", name, cpu[name], 1000*cpu[name]/float64(b.clusters), now.rssMiB, now.peakMiB)
	}
	b.screen.Plain("%-24s %10.1f %16.0f", "all", total, 1000*total/float64(b.clusters))

	if b.requests {
		b.screen.Plain("\n%12s  what the management API server was asked, and asked itself", "per cluster")
		for _, added := range after.requests.since(before.requests) {
			b.screen.Plain("%12.2f  %s", added.count/float64(b.clusters), added.name)
		}
	}
	return fmt.Sprintf("RESULT clusters=%d seconds=%.1f boot_ms=%d manager_rss_mib=%d apiserver_cpu_s=%.1f manager_cpu_s=%.1f",
		b.clusters, percentile(times, 100).Seconds(), b.BootTime.Milliseconds(), after.usage["manager"].peakMiB,
		cpu["kube-apiserver"], cpu["manager"])
}
