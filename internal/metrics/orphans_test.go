package metrics

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestOrphansAreCountedByWhatTheyWaitFor(t *testing.T) {
	b := newBench(t)
	one, other := hostWith("hv1", ""), hostWith("hv2", "")
	one.Status.Orphans = []capstanv1.HostOrphan{{ID: "a", State: capstanv1.OrphanFrozen}, {ID: "b", State: capstanv1.OrphanReported}}
	other.Status.Orphans = []capstanv1.HostOrphan{{ID: "c", State: capstanv1.OrphanFrozen}}
	b.follow(t, true, one, other)
	b.Expect(b.values("capstan_orphans")).To(Equal(map[string]float64{"Elsewhere": 0, "Frozen": 2, "Removing": 0, "Reported": 1, "Waiting": 0}))
}
