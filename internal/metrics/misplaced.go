package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// misplaced tells how many machines evenness would have elsewhere, over all clusters.
type misplaced struct{ machines *prometheus.Desc }

func newMisplaced() misplaced {
	return misplaced{prometheus.NewDesc("capstan_misplaced_machines",
		"Machines that would be placed elsewhere today, so that their cluster is spread more evenly.", nil, nil)}
}

func (m misplaced) collect(clusters []capstanv1.WorkloadCluster, metrics chan<- prometheus.Metric) {
	sum := 0.0
	for i := range clusters {
		if spread := clusters[i].Status.Spread; spread != nil {
			sum += float64(spread.Misplaced)
		}
	}
	metrics <- prometheus.MustNewConstMetric(m.machines, prometheus.GaugeValue, sum)
}
