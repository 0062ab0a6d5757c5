package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// inUse returns a bench on which every metric has a series.
func inUse(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.set.statusWritten(vm(capstanv1.VMCreating), vm(capstanv1.VMStarting, condition("Ready", metav1.ConditionFalse, "Starting", noon)))
	HostCalls{set: b.set}.CallBegins(t.Context(), "hv1", "GetVM")(codes.NotFound, hostapi.Errorf(hostapi.NotFound, "GetVM", "", "no"))
	b.set.loadBalancerDuration.WithLabelValues("Apply", "OK").Observe(1)
	b.set.placements.WithLabelValues(PlacementPlaced).Inc()
	b.set.heals.WithLabelValues(capstanv1.ReasonHostLost).Inc()
	b.set.requeues.WithLabelValues(string(hostapi.Transient)).Inc()
	b.follow(t, true, named("a"), hostWith("hv1", "", volumeOf("csv1", "100", "")),
		networkWith("lan", &capstanv1.AddressCounts{Total: 1, Free: 1}, nil))
	return b
}

func document(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatalf("read the document: %v", err)
	}
	return string(data)
}

func TestMetricsKeepToPrometheusConventions(t *testing.T) {
	b := inUse(t)
	families, err := b.registry.Gather()
	b.Expect(err).NotTo(HaveOccurred())
	b.Expect(promlint.NewWithMetricFamilies(families).Lint()).To(BeEmpty())
	for _, family := range families {
		b.Expect(family.GetName()).To(HavePrefix("capstan_"))
	}
}

func TestTheDocumentListsEveryMetric(t *testing.T) {
	b := inUse(t)
	families, err := b.registry.Gather()
	b.Expect(err).NotTo(HaveOccurred())
	var coded []string
	for _, family := range families {
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		coded = append(coded, strings.Join([]string{"`" + family.GetName() + "`", strings.ToLower(family.GetType().String()), strings.Join(labels, ", ")}, " | "))
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`capstan_\\w+`) \\| (\\w+) \\| (.*?) ?\\| ").FindAllStringSubmatch(document(t), -1) {
		listed = append(listed, strings.Join(row[1:], " | "))
	}
	b.Expect(listed).To(ConsistOf(coded))
	b.Expect(coded).To(HaveLen(len(b.set.descriptions())), "every metric has a series here")
}

func TestTheDocumentListsEveryPhase(t *testing.T) {
	g := NewWithT(t)
	listed := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\w+) \\| (`.*`) \\|$").FindAllStringSubmatch(document(t), -1) {
		listed[row[1]] = strings.Split(strings.ReplaceAll(row[2], "`", ""), ", ")
	}
	coded := map[string][]string{
		"HyperVMachine": {string(phaseOwner), string(phaseClusterInfra), string(phaseBootstrapData), string(phaseVirtualMachine)},
		"LoadBalancer":  {string(phaseVIP), string(phaseInstances), string(phasePlan)},
	}
	for kind, chain := range chains {
		for _, l := range chain {
			coded[kind] = append(coded[kind], string(l.phase))
		}
	}
	coded["VirtualMachine"] = []string{string(phaseNode)}
	for _, p := range vmPhases {
		if !slices.Contains(coded["VirtualMachine"], string(p)) {
			coded["VirtualMachine"] = append(coded["VirtualMachine"], string(p))
		}
	}
	for kind, phases := range coded {
		g.Expect(listed[kind]).To(ConsistOf(append(phases, string(phaseDeleting))), kind)
	}
	g.Expect(listed).To(HaveLen(len(coded)))
}

func TestTheDocumentAsksForMetricsThatExist(t *testing.T) {
	b := inUse(t)
	families, err := b.registry.Gather()
	b.Expect(err).NotTo(HaveOccurred())
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
	}
	_, alerts, _ := strings.Cut(document(t), "### Alerts")
	asked := regexp.MustCompile(`\bcapstan_\w+`).FindAllString(alerts, -1)
	b.Expect(asked).NotTo(BeEmpty())
	for _, name := range asked {
		b.Expect(names).To(HaveKey(regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")))
	}
}

func TestTheManagersRegistryServesThem(t *testing.T) {
	g := NewWithT(t)
	families, err := ctrlmetrics.Registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(families).To(ContainElement(WithTransform(func(f interface{ GetName() string }) string { return f.GetName() }, Equal("capstan_build_info"))))
}
