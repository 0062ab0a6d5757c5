package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/capstan-k8s/capstan/internal/buildinfo"
)

// The labels.
const (
	labelCause           = "cause"
	labelClass           = "class"
	labelCode            = "code"
	labelCondition       = "condition"
	labelConnected       = "connected"
	labelGoVersion       = "go_version"
	labelFailoverCluster = "failover_cluster"
	labelResult          = "result"
	labelVolume          = "volume"
	labelLogicalNetwork  = "logical_network"
	labelState           = "state"
	labelUse             = "use"
	labelHost            = "host"
	labelKind            = "kind"
	labelMethod          = "method"
	labelPhase           = "phase"
	labelReason          = "reason"
	labelStatus          = "status"
	labelVersion         = "version"
)

var (
	// From what passes at once to what a real host takes to copy an image.
	phaseBuckets = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}
	// An agent answers within about a second, and a call is given up after half a
	// minute at the latest.
	hostBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
	// A load-balancer VM may take a minute to put a plan in force.
	loadBalancerBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 75}
)

// set is all metrics of one manager.
type set struct {
	now func() time.Time

	buildInfo *prometheus.GaugeVec

	phaseDuration *prometheus.HistogramVec
	transitions   *prometheus.CounterVec
	stopwatch     stopwatch

	hostDuration *prometheus.HistogramVec
	hostErrors   *prometheus.CounterVec
	hostInFlight prometheus.Gauge

	loadBalancerDuration *prometheus.HistogramVec
	loadBalancerInFlight prometheus.Gauge

	placements *prometheus.CounterVec
	heals      *prometheus.CounterVec
	requeues   *prometheus.CounterVec

	orphansFound, orphansRemoved prometheus.Counter

	fleet *fleet
}

// standard is what the manager counts in. A process has one registry, which
// controller-runtime owns.
var standard = newSet(time.Now)

func init() { ctrlmetrics.Registry.MustRegister(standard.collectors()...) }

func newSet(now func() time.Time) *set {
	s := &set{
		now: now,
		buildInfo: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "capstan_build_info", Help: "The version of the manager; always 1.",
		}, []string{labelVersion, labelGoVersion}),
		phaseDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "capstan_phase_duration_seconds", Help: "How long objects were in a phase, counted when they leave it.",
			Buckets: phaseBuckets,
		}, []string{labelKind, labelPhase}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "capstan_condition_transitions_total", Help: "Changes of the status or reason of a condition, by what it changed to.",
		}, []string{labelKind, labelCondition, labelStatus, labelReason}),
		stopwatch: stopwatch{entered: map[types.UID]entry{}},
		hostDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "capstan_host_rpc_duration_seconds", Help: "How long calls of host agents took, by method and gRPC code.",
			Buckets: hostBuckets,
		}, []string{labelMethod, labelCode}),
		hostErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "capstan_host_rpc_errors_total", Help: "Calls of host agents that failed, by host and class of the error.",
		}, []string{labelHost, labelClass}),
		hostInFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "capstan_host_rpc_in_flight", Help: "Calls of host agents that are under way.",
		}),
		loadBalancerDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "capstan_loadbalancer_rpc_duration_seconds", Help: "How long calls of load-balancer VMs took, by method and gRPC code.",
			Buckets: loadBalancerBuckets,
		}, []string{labelMethod, labelCode}),
		loadBalancerInFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "capstan_loadbalancer_rpc_in_flight", Help: "Calls of load-balancer VMs that are under way.",
		}),
		placements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "capstan_placements_total", Help: "Attempts to place a VM, by Placed or the reason why there is no place.",
		}, []string{labelResult}),
		heals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "capstan_heals_total", Help: "What was begun to make good a fault, by its cause.",
		}, []string{labelCause}),
		requeues: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "capstan_requeues_total", Help: "How often a VM was to be looked at again because of an error of its host, by the class of the error.",
		}, []string{labelClass}),
		orphansFound: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "capstan_orphans_found_total", Help: "VMs and remnants of VMs that were found on hosts and had no object.",
		}),
		orphansRemoved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "capstan_orphans_removed_total", Help: "Orphans that were removed from their hosts.",
		}),
		fleet: newFleet(now),
	}
	s.buildInfo.WithLabelValues(buildinfo.Version(), runtime.Version()).Set(1)
	return s
}

func (s *set) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		s.buildInfo, s.phaseDuration, s.transitions,
		s.hostDuration, s.hostErrors, s.hostInFlight,
		s.loadBalancerDuration, s.loadBalancerInFlight,
		s.placements, s.heals, s.requeues, s.orphansFound, s.orphansRemoved, s.fleet,
	}
}
