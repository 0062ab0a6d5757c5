package main

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

// takeovers are what clients saw of each kind of fault.
type takeovers []struct {
	fault   string
	outages []lblab.Outage
}

func (b *bench) takeovers(ctx context.Context) (takeovers, error) {
	faults := lblab.Faults()
	all := make(takeovers, len(faults))
	for i, fault := range faults {
		all[i].fault = fault.Name
		for run := range b.runs {
			outage, err := b.lab.Suffer(ctx, fault)
			if err != nil {
				return nil, err
			}
			b.step("%s, run %d: %d ms without an answer, %d ms when it was mended; %s to %s",
				fault.Name, run+1, outage.Gap.Milliseconds(), outage.Return.Milliseconds(), outage.From, outage.To)
			all[i].outages = append(all[i].outages, outage)
		}
	}
	return all, nil
}

// print returns the times of all kinds.
func (t takeovers) print() []time.Duration {
	fmt.Printf("\n%-20s %6s %10s %10s %20s %12s\n", "fault", "runs", "p50 ms", "max ms", "max ms when mended", "moved VIP")
	var all []time.Duration
	for _, kind := range t {
		moved, back, gaps := 0, time.Duration(0), []time.Duration{}
		for _, o := range kind.outages {
			gaps = append(gaps, o.Gap)
			back = max(back, o.Return)
			if o.From != o.To {
				moved++
			}
		}
		fmt.Printf("%-20s %6d %10d %10d %20d %12d\n", kind.fault, len(gaps),
			percentile(gaps, 50).Milliseconds(), percentile(gaps, 100).Milliseconds(), back.Milliseconds(), moved)
		all = append(all, gaps...)
	}
	return all
}
