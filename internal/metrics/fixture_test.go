package metrics

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// bench is a set with a registry of its own and a clock that stands still.
type bench struct {
	*WithT
	set      *set
	registry *prometheus.Registry
	now      time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{WithT: NewWithT(t), now: noon, registry: prometheus.NewPedanticRegistry()}
	b.set = newSet(func() time.Time { return b.now })
	b.registry.MustRegister(b.set.collectors()...)
	return b
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

// follow has the objects counted, as the manager's cache would hand them out.
func (b *bench) follow(t *testing.T, elected bool, objects ...client.Object) {
	t.Helper()
	scheme := runtime.NewScheme()
	b.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
	b.Expect(infrav1.AddToScheme(scheme)).To(Succeed())
	c := make(chan struct{})
	if elected {
		close(c)
	}
	b.set.fleet.source.Store(&source{
		reader:  fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
		elected: c,
	})
}

// values are all series of a metric, by the values of their labels: the count of
// a histogram, the value of another.
func (b *bench) values(name string) map[string]float64 {
	families, err := b.registry.Gather()
	b.Expect(err).NotTo(HaveOccurred())
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			key := ""
			for _, label := range m.GetLabel() {
				if key != "" {
					key += " "
				}
				key += label.GetValue()
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// seconds are the sums of a histogram.
func (b *bench) seconds(name string) map[string]float64 {
	families, err := b.registry.Gather()
	b.Expect(err).NotTo(HaveOccurred())
	sums := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sums[m.GetLabel()[1].GetValue()] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sums
}

func condition(kind string, status metav1.ConditionStatus, reason string, at time.Time) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(at)}
}

func vm(phase capstanv1.VMPhase, conditions ...metav1.Condition) *capstanv1.VirtualMachine {
	return &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm", UID: types.UID("vm"), CreationTimestamp: metav1.NewTime(noon)},
		Status:     capstanv1.VirtualMachineStatus{Phase: phase, Conditions: conditions},
	}
}

// descriptions are those of all metrics, with a series or without.
func (s *set) descriptions() []string {
	var all []string
	for _, c := range s.collectors() {
		descs := make(chan *prometheus.Desc, 10)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			all = append(all, d.String())
		}
	}
	return all
}
