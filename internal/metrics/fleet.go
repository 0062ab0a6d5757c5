package metrics

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// listTimeout bounds how long a scrape waits for caches that are not filled yet.
const listTimeout = 2 * time.Second

// reasonNone stands for an object that no controller has looked at yet.
const reasonNone = "None"

// Follow has the objects counted that reader reads, once elected is closed: of
// several managers only the one that works counts, and the others need no caches
// for it. Reader is the manager's caching client.
func Follow(reader client.Reader, elected <-chan struct{}) {
	standard.fleet.source.Store(&source{reader: reader, elected: elected})
}

// fleet is worked out anew from the caches at every scrape, so it neither drifts
// nor remembers objects that are gone.
type fleet struct {
	now    func() time.Time
	source atomic.Pointer[source]

	waiting *prometheus.Desc
	longest *prometheus.Desc
	hosts   *prometheus.Desc
	volumes volumes
	// addresses are those of LogicalNetworks.
	addresses addresses
	// misplaced are machines of WorkloadClusters.
	misplaced misplaced
	orphans   orphans
}

type source struct {
	reader  client.Reader
	elected <-chan struct{}
}

func newFleet(now func() time.Time) *fleet {
	return &fleet{
		now: now,
		waiting: prometheus.NewDesc("capstan_waiting_objects",
			"Objects whose condition Ready is not True, by its reason.", []string{labelKind, labelReason}, nil),
		longest: prometheus.NewDesc("capstan_longest_wait_seconds",
			"How long the object that waits longest has not been Ready, by the reason it has now.", []string{labelKind, labelReason}, nil),
		hosts: prometheus.NewDesc("capstan_hosts",
			"HyperVHosts, by whether their agent answers.", []string{labelConnected}, nil),
		volumes:   newVolumes(),
		addresses: newAddresses(),
		misplaced: newMisplaced(),
		orphans:   newOrphans(),
	}
}

// Describe implements prometheus.Collector.
func (f *fleet) Describe(descs chan<- *prometheus.Desc) {
	descs <- f.waiting
	descs <- f.longest
	descs <- f.hosts
	f.volumes.describe(descs)
	descs <- f.addresses.count
	descs <- f.misplaced.machines
	descs <- f.orphans.desc
}

// kinds are those that wait for something, each with an empty list.
func kinds() []client.ObjectList {
	return []client.ObjectList{
		&capstanv1.WorkloadClusterList{}, &capstanv1.NodePoolList{}, &capstanv1.LoadBalancerList{},
		&capstanv1.VirtualMachineList{}, &capstanv1.HyperVHostList{}, &capstanv1.VMImageList{},
		&capstanv1.LogicalNetworkList{}, &capstanv1.TombstoneList{},
		&infrav1.HyperVClusterList{}, &infrav1.HyperVMachineList{},
	}
}

// Collect implements prometheus.Collector. A kind that cannot be listed is left
// out: the other metrics are worth having.
func (f *fleet) Collect(metrics chan<- prometheus.Metric) {
	s := f.source.Load()
	if s == nil {
		return
	}
	select {
	case <-s.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	for _, list := range kinds() {
		// Nothing is changed, so nothing need be copied: there may be tens of thousands.
		if err := s.reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			ctrllog.Log.WithName("metrics").V(1).Info("Objects are not counted", "list", kindOf(list), "error", err.Error())
			continue
		}
		f.count(list, metrics)
		if hosts, ok := list.(*capstanv1.HyperVHostList); ok {
			f.volumes.collect(hosts.Items, metrics)
			f.orphans.collect(hosts.Items, metrics)
		}
		if networks, ok := list.(*capstanv1.LogicalNetworkList); ok {
			f.addresses.collect(networks.Items, metrics)
		}
		if clusters, ok := list.(*capstanv1.WorkloadClusterList); ok {
			f.misplaced.collect(clusters.Items, metrics)
		}
	}
}

type waits struct {
	n     int
	since time.Time
}

func (f *fleet) count(list client.ObjectList, metrics chan<- prometheus.Metric) {
	type key struct{ kind, reason string }
	waiting, connected, hosts := map[key]waits{}, map[bool]int{}, false
	if _, hosts = list.(*capstanv1.HyperVHostList); hosts {
		connected[true], connected[false] = 0, 0
	}
	each(list, func(obj Object) {
		if hosts {
			connected[isTrue(obj, capstanv1.AgentConnectedCondition)]++
		}
		reason, since, waits := waitOf(obj)
		if !waits {
			return
		}
		k := key{kind: kindOf(obj), reason: reason}
		w := waiting[k]
		if w.n == 0 || since.Before(w.since) {
			w.since = since
		}
		w.n++
		waiting[k] = w
	})
	now := f.now()
	for k, w := range waiting {
		metrics <- prometheus.MustNewConstMetric(f.waiting, prometheus.GaugeValue, float64(w.n), k.kind, k.reason)
		metrics <- prometheus.MustNewConstMetric(f.longest, prometheus.GaugeValue, max(0, now.Sub(w.since).Seconds()), k.kind, k.reason)
	}
	for answers, n := range connected {
		metrics <- prometheus.MustNewConstMetric(f.hosts, prometheus.GaugeValue, float64(n), strconv.FormatBool(answers))
	}
}

func each(list client.ObjectList, do func(Object)) {
	// It fails only for what is no list, and ours are.
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if obj, ok := item.(Object); ok {
			do(obj)
		}
		return nil
	})
}

// waitOf returns why an object is not Ready, and since when.
func waitOf(obj Object) (reason string, since time.Time, waits bool) {
	ready := meta.FindStatusCondition(obj.GetConditions(), capstanv1.ReadyCondition)
	switch {
	case ready == nil:
		return reasonNone, obj.GetCreationTimestamp().Time, true
	case ready.Status == metav1.ConditionTrue:
		return "", time.Time{}, false
	default:
		return ready.Reason, ready.LastTransitionTime.Time, true
	}
}
