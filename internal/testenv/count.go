package testenv

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Count returns what the manager's registry has counted in a metric, of the series with
// these values of its labels, in the order of their names. Others count in the same
// process: it is how much it grew that tells something.
func Count(t T, metric string, values ...string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	must(t, "gathering metrics", err)
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, series := range family.GetMetric() {
			var has []string
			for _, label := range series.GetLabel() {
				has = append(has, label.GetValue())
			}
			if slices.Equal(has, values) {
				return series.GetCounter().GetValue()
			}
		}
	}
	return 0
}
