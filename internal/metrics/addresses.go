package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// addresses tells of those that LogicalNetworks give out, by what they are for.
type addresses struct{ count *prometheus.Desc }

func newAddresses() addresses {
	return addresses{prometheus.NewDesc("capstan_network_addresses",
		"Addresses in the ranges of a LogicalNetwork, by what they are for and whether they are free, used or reserved.",
		[]string{labelLogicalNetwork, labelState, labelUse}, nil)}
}

func (a addresses) collect(networks []capstanv1.LogicalNetwork, metrics chan<- prometheus.Metric) {
	for i := range networks {
		n := &networks[i]
		for use, counts := range map[string]*capstanv1.AddressCounts{
			capstanv1.AddressRangeNodes: n.Status.Nodes, capstanv1.AddressRangeVIPs: n.Status.VIPs,
		} {
			// They are not counted yet, or come from another provider's pool.
			if counts == nil {
				continue
			}
			for state, value := range map[string]int64{"free": counts.Free, "used": counts.Used, "reserved": counts.Reserved} {
				metrics <- prometheus.MustNewConstMetric(a.count, prometheus.GaugeValue, float64(value), n.Name, state, use)
			}
		}
	}
}
