package workloadcluster

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAnEndpointStaysReadyWhileItsInfrastructureHasMoreToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		was    bool
		status metav1.ConditionStatus
		ready  bool
	}{
		"it was ready, and still is, of an older spec": {was: true, status: metav1.ConditionTrue, ready: true},
		"it has never been ready":                      {status: metav1.ConditionTrue},
		"it says that it is not":                       {was: true, status: metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := &scope{wlc: &capstanv1.WorkloadCluster{}, cluster: &clusterv1.Cluster{}, infra: &infrav1.HyperVCluster{}}
			if tc.was {
				conditions.True(s.wlc, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonReady, "fine")
			}
			s.infra.Generation = 3
			s.infra.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "10.20.0.100", Port: 6443}
			s.infra.Status.Conditions = []metav1.Condition{{Type: capstanv1.ReadyCondition, Status: tc.status, Reason: "x", ObservedGeneration: 2}}
			setEndpoint(s)
			g.Expect(conditions.IsTrue(s.wlc, capstanv1.LoadBalancerReadyCondition)).To(Equal(tc.ready))
		})
	}
}
