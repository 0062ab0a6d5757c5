package workloadcluster_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("A WorkloadCluster whose network plugin Capstan installs", func() {
	tell := func(ctx SpecContext, s *story, addon string, status metav1.ConditionStatus, reason, message string) {
		testenv.UpdateStatus(ctx, env, s.wlc, func(c *capstanv1.WorkloadCluster) {
			c.Status.Addons = append(c.Status.Addons[:0:0], capstanv1.AddonStatus{Name: addon, Conditions: []metav1.Condition{{
				Type: capstanv1.ReadyCondition, Status: status, Reason: reason, Message: message,
				ObservedGeneration: c.Generation, LastTransitionTime: metav1.Now(),
			}}})
		})
	}
	withFlannel := func(c *capstanv1.WorkloadCluster) { c.Spec.Addons.CNI.Name = capstanv1.CNIFlannel }

	It("is ready only once that is, and says what is wrong with it before what follows from it", func(ctx SpecContext) {
		s := newStory(ctx, withFlannel).begin(ctx)
		s.infrastructureReady(ctx)
		tell(ctx, s, capstanv1.CNIAddon, metav1.ConditionFalse, capstanv1.ReasonWaitingForHealth, "waiting for daemons")
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForControlPlane, Not(BeEmpty()))
		tell(ctx, s, capstanv1.CNIAddon, metav1.ConditionFalse, capstanv1.ReasonNotOwned, "somebody else's")
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonNotOwned, Equal("network plugin: somebody else's"))
		s.controlPlaneAt(ctx, testenv.Version)
		tell(ctx, s, capstanv1.CNIAddon, metav1.ConditionFalse, capstanv1.ReasonWaitingForHealth, "waiting for daemons")
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, "False", capstanv1.ReasonWaitingForHealth, Equal("network plugin: waiting for daemons"))
		tell(ctx, s, capstanv1.CNIAddon, metav1.ConditionTrue, capstanv1.ReasonReady, "")
		env.ExpectReady(ctx, s.wlc)
	})

	It("is ready whatever becomes of other addons", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		s.infrastructureReady(ctx)
		s.controlPlaneAt(ctx, testenv.Version)
		tell(ctx, s, "dashboard", metav1.ConditionFalse, capstanv1.ReasonUnhealthy, "broken")
		env.ExpectReady(ctx, s.wlc)
	})
})
