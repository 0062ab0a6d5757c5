package hypervmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestADeletionNamesTheHostsThatItWaitsFor(t *testing.T) {
	const (
		alone = "host hv1 does not answer, since 2026-01-01T11:59:00Z; if it will not come back, set spec.lost to true on HyperVHost hv1"
		fc    = "failover cluster fc does not answer, since 2026-01-01T11:59:00Z; if it will not come back, set spec.lost to true on HyperVHost hv1, hv2"
	)
	minute, long := ago(time.Minute), ago(time.Hour)
	down := func(e *evidence) *evidence {
		return e.node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, minute)
	}
	for name, tc := range map[string]struct {
		of   *evidence
		says string
	}{
		"its host answers":         {of: ofVM(hostWith("hv1", testenv.Answering(long)))},
		"its host alone is silent": {of: ofVM(hostWith("hv1", testenv.Silent(minute))), says: alone},
		"its node is not heard of either": {
			of:   down(ofVM(hostWith("hv1", testenv.Silent(minute)), hostWith("hv2", testenv.Answering(long)))),
			says: alone + ", or wait until 2026-01-01T12:07:00Z, when it is presumed lost unless it or the node is heard of before",
		},
		"most hosts are silent": {
			of:   down(ofVM(hostWith("hv1", testenv.Silent(minute)))),
			says: alone + "; repair is held: 1 of 1 hosts do not answer; it goes on when that is over, or at 2026-01-01T12:29:00Z",
		},
		"neither is heard of for long": {
			of:   ofVM(hostWith("hv1", testenv.Silent(long)), hostWith("hv2", testenv.Answering(long))).node(metav1.ConditionUnknown, clusterv1.MachineNodeReadyUnknownReason, long),
			says: "host hv1 does not answer, since 2026-01-01T11:00:00Z; if it will not come back, set spec.lost to true on HyperVHost hv1; it is presumed lost",
		},
		"all of a failover cluster is silent": {
			of:   ofVM(hostWith("hv1", withCluster("fc"), testenv.Silent(long)), hostWith("hv2", withCluster("fc"), testenv.Silent(minute)), hostWith("hv3", testenv.Silent(long))).inFailoverCluster("fc"),
			says: fc,
		},
		"one of a failover cluster answers": {
			of: ofVM(hostWith("hv1", withCluster("fc"), testenv.Silent(long)), hostWith("hv2", withCluster("fc"), testenv.Answering(long))).inFailoverCluster("fc"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			tc.of.hold, tc.of.over = outage.NewWatch(tc.of.timeouts).Look(tc.of.hosts, noon)
			c := presumedLost(tc.of)
			g.Expect(tellSilence(tc.of, c, c.heldBy(tc.of))).To(Equal(tc.says))
		})
	}
}

func TestADeletionWithoutAMachinePresumesNothing(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Silent(ago(time.Hour))), hostWith("hv2", testenv.Answering(ago(time.Hour))))
	e.machine = nil
	g.Expect(presumedLost(e)).To(BeNil())
	g.Expect(tellSilence(e, nil, nil)).To(ContainSubstring("spec.lost to true on HyperVHost hv1"))
}
