package controllers

import (
	"testing"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/servingcert"
)

func TestMetricsAreServedToThoseAloneWhoMayReadThem(t *testing.T) {
	g := NewWithT(t)
	options := DefaultOptions()
	served := metricsOptions(options, &servingcert.Keeper{})
	g.Expect(served.SecureServing).To(BeTrue())
	g.Expect(served.FilterProvider).NotTo(BeNil())
	g.Expect(served.TLSOpts).To(HaveLen(1))

	options.MetricsInsecure = true
	served = metricsOptions(options, &servingcert.Keeper{})
	g.Expect(served.SecureServing).To(BeFalse())
	g.Expect(served.FilterProvider).To(BeNil())
}

func TestWarningsOfNamesOfFinalizersAreLeftOut(t *testing.T) {
	g := NewWithT(t)
	var told []string
	handler := warnings(funcr.New(func(_, line string) { told = append(told, line) }, funcr.Options{}))
	for _, finalizer := range []string{"virtualmachine.capstan.dev", "hypervmachine.infrastructure.cluster.x-k8s.io", "machine.cluster.x-k8s.io"} {
		handler.HandleWarningHeader(299, "-", `metadata.finalizers: "`+finalizer+
			`": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`)
	}
	g.Expect(told).To(BeEmpty())
	handler.HandleWarningHeader(299, "-", "unknown field \"spec.x\"")
	g.Expect(told).To(ConsistOf(ContainSubstring("unknown field")))
}
