package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// OrphanFound counts a VM, or what is left of one, that a host holds and no object
// stands for.
func OrphanFound() { standard.orphansFound.Inc() }

// OrphanRemoved counts an orphan of which nothing is left.
func OrphanRemoved() { standard.orphansRemoved.Inc() }

// orphans tells how many there are, by what they wait for.
type orphans struct{ desc *prometheus.Desc }

func newOrphans() orphans {
	return orphans{prometheus.NewDesc("capstan_orphans",
		"VMs and remnants of VMs that hosts hold and no object stands for, by state.", []string{labelState}, nil)}
}

func (o orphans) collect(hosts []capstanv1.HyperVHost, metrics chan<- prometheus.Metric) {
	// Alerts need a zero, too.
	states := map[capstanv1.OrphanState]int{
		capstanv1.OrphanWaiting: 0, capstanv1.OrphanReported: 0, capstanv1.OrphanFrozen: 0, capstanv1.OrphanRemoving: 0,
		capstanv1.OrphanElsewhere: 0,
	}
	for i := range hosts {
		for j := range hosts[i].Status.Orphans {
			states[hosts[i].Status.Orphans[j].State]++
		}
	}
	for state, n := range states {
		metrics <- prometheus.MustNewConstMetric(o.desc, prometheus.GaugeValue, float64(n), string(state))
	}
}
