package hypervmachine

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestAMachineIsHeldUntilItsGuestHasHadTheTimeToBoot(t *testing.T) {
	held := func(e *evidence) {
		e.machine.Annotations = map[string]string{clusterv1.MachineSkipRemediationAnnotation: capstanv1.ReasonRepairHeld}
	}
	for name, tc := range map[string]struct {
		host  func(*capstanv1.HyperVHost)
		with  []func(*evidence)
		until time.Duration
	}{
		"its host has come back a minute ago":           {testenv.Answering(ago(time.Minute)), []func(*evidence){held}, 7 * time.Minute},
		"nobody declares a loss but a person":           {testenv.Answering(ago(time.Minute)), []func(*evidence){held, func(e *evidence) { e.timeouts.HostLoss = -1 }}, 7 * time.Minute},
		"its host has been back for long enough":        {testenv.Answering(ago(8 * time.Minute)), []func(*evidence){held}, 0},
		"its node is ready":                             {testenv.Answering(ago(time.Minute)), []func(*evidence){held, nodeReady}, 0},
		"it was not held":                               {testenv.Answering(ago(time.Minute)), nil, 0},
		"its host is silent, which is another's matter": {testenv.Silent(ago(time.Minute)), []func(*evidence){held}, 0},
		"its host never was away, but its cluster was": {
			testenv.Answering(ago(time.Hour)), []func(*evidence){held, func(e *evidence) { e.over = ago(2 * time.Minute) }}, 6 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := ofVM(hostWith("hv1", tc.host))
			for _, f := range tc.with {
				f(e)
			}
			back := backOnlyNow(e)
			if tc.until == 0 {
				g.Expect(back).To(BeNil())
				return
			}
			g.Expect(back.Until).To(Equal(noon.Add(tc.until)))
			g.Expect(back.String()).To(ContainSubstring("only now"))
		})
	}
}

func nodeReady(e *evidence) {
	e.machine.Status.Conditions = []metav1.Condition{{Type: clusterv1.MachineNodeReadyCondition, Status: metav1.ConditionTrue, Reason: "NodeReady"}}
}
