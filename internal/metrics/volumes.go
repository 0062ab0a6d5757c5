package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// volumes tells of every volume once, whichever host of a failover cluster reports
// it.
type volumes struct {
	capacity, free, provisioned, skew *prometheus.Desc
}

func newVolumes() volumes {
	each := []string{labelFailoverCluster, labelHost, labelVolume}
	return volumes{
		capacity: prometheus.NewDesc("capstan_volume_capacity_bytes", "The size of a volume.", each, nil),
		free:     prometheus.NewDesc("capstan_volume_free_bytes", "What is not written of a volume.", each, nil),
		provisioned: prometheus.NewDesc("capstan_volume_provisioned_bytes",
			"The virtual sizes of all disks on a volume; it may be more than its capacity.", each, nil),
		skew: prometheus.NewDesc("capstan_volume_skew_ratio",
			"How much more of the fullest volume is provisioned than of the emptiest, as shares of each, of those that take disks.",
			[]string{labelFailoverCluster, labelHost}, nil),
	}
}

func (v volumes) describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{v.capacity, v.free, v.provisioned, v.skew} {
		descs <- d
	}
}

func (v volumes) collect(hosts []capstanv1.HyperVHost, metrics chan<- prometheus.Metric) {
	for _, h := range capstanv1.StorageReporters(hosts) {
		cluster, host := h.Status.FailoverCluster, ""
		if cluster == "" {
			host = h.Name
		}
		least, most, usable := 0.0, 0.0, 0
		for i := range h.Status.Volumes {
			volume := &h.Status.Volumes[i]
			capacity, provisioned := volume.Capacity.AsApproximateFloat64(), volume.Provisioned.AsApproximateFloat64()
			for desc, value := range map[*prometheus.Desc]float64{
				v.capacity: capacity, v.free: volume.Free.AsApproximateFloat64(), v.provisioned: provisioned,
			} {
				metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, cluster, host, volume.Name)
			}
			if volume.Fault != "" || capacity <= 0 {
				continue
			}
			share := provisioned / capacity
			if usable == 0 {
				least, most = share, share
			}
			least, most = min(least, share), max(most, share)
			usable++
		}
		if usable > 0 {
			metrics <- prometheus.MustNewConstMetric(v.skew, prometheus.GaugeValue, most-least, cluster, host)
		}
	}
}
