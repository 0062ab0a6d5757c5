package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// counts are what these metrics count: placements by result, requeues by class.
func counts(t *testing.T) map[string]float64 {
	t.Helper()
	return map[string]float64{
		"placed":    testenv.Count(t, "capstan_placements_total", metrics.PlacementPlaced),
		"no room":   testenv.Count(t, "capstan_placements_total", "OutOfMemory"),
		"volume":    testenv.Count(t, "capstan_requeues_total", string(hostapi.VolumeFaulted)),
		"silence":   testenv.Count(t, "capstan_requeues_total", string(hostapi.HostUnreachable)),
		"transient": testenv.Count(t, "capstan_requeues_total", string(hostapi.Transient)),
	}
}

func TestPlacementsAndRequeuesAreCountedByWhatCameOfThem(t *testing.T) {
	for name, tc := range map[string]struct {
		fault hostapi.Class
		// full has the host's memory be gone at first.
		full bool
		want map[string]float64
	}{
		"all goes well":      {want: map[string]float64{"placed": 1}},
		"there is no room":   {full: true, want: map[string]float64{"placed": 1, "no room": 1}},
		"a volume is faulty": {fault: hostapi.VolumeFaulted, want: map[string]float64{"placed": 1, "volume": 1}},
		"its host is silent": {fault: hostapi.HostUnreachable, want: map[string]float64{"placed": 1, "silence": 1}},
		"its host is busy":   {fault: hostapi.Transient, want: map[string]float64{"placed": 1, "transient": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMortal(t)
			before := counts(t)
			if tc.fault != "" {
				m.driver.FailNext("EnsureVM", hostapi.Errorf(tc.fault, "EnsureVM", "", "no"))
			}
			host := &capstanv1.HyperVHost{}
			m.Expect(m.Get(t.Context(), client.ObjectKey{Name: "hv1"}, host)).To(Succeed())
			memory := host.Status.Memory.DeepCopy()
			if tc.full {
				host.Status.Memory.Set(3 << 30)
				m.Expect(m.Update(t.Context(), host)).To(Succeed())
				m.Expect(m.Create(t.Context(), m.newVM())).To(Succeed())
				r := m.manager()
				for range 3 {
					_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: m.vm})
					m.Expect(err).NotTo(HaveOccurred())
					m.answerClaims(t.Context())
					if counts(t)["no room"] > before["no room"] {
						break
					}
				}
				host.Status.Memory = &memory
				m.Expect(m.Update(t.Context(), host)).To(Succeed())
			} else {
				m.Expect(m.Create(t.Context(), m.newVM())).To(Succeed())
			}
			m.live(t.Context())
			after := counts(t)
			for what, n := range after {
				m.Expect(n-before[what]).To(Equal(tc.want[what]), what)
			}
		})
	}
}
