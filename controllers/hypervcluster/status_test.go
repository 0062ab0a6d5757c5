package hypervcluster

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestTheWayOfALoadBalancerIsPassedOnWhenItTakesLong(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		status  metav1.ConditionStatus
		reason  string
		since   time.Duration
		message string
		look    time.Duration
	}{
		"it has just begun":         {metav1.ConditionFalse, capstanv1.ReasonWaitingForVIP, time.Second, "waiting for the load balancer", 29 * time.Second},
		"it takes long":             {metav1.ConditionFalse, capstanv1.ReasonWaitingForVIP, patience, "because", 0},
		"something is wrong":        {metav1.ConditionFalse, capstanv1.ReasonNetworkFull, 0, "because", 0},
		"it is ready":               {metav1.ConditionTrue, capstanv1.ReasonReady, 0, "the load balancer carries 10.20.0.100:6443", 0},
		"nothing is known of it":    {metav1.ConditionUnknown, capstanv1.ReasonHostUnreachable, 0, "because", 0},
		"it has not said a thing":   {"", "", 0, "waiting for the load balancer", 0},
		"it was ready a moment ago": {metav1.ConditionFalse, capstanv1.ReasonWaitingForInstances, time.Second, "waiting for the load balancer", 29 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			lb := &capstanv1.LoadBalancer{}
			if tc.reason != "" {
				lb.Status.Conditions = []metav1.Condition{{
					Type: capstanv1.ReadyCondition, Status: tc.status, Reason: tc.reason, Message: "because", LastTransitionTime: metav1.NewTime(now.Add(-tc.since)),
				}}
			}
			infra := &infrav1.HyperVCluster{}
			infra.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "10.20.0.100", Port: 6443}
			s := &scope{infra: infra, cluster: &clusterv1.Cluster{}, loadBalancer: lb}
			setStatus(s, now)
			g.Expect(conditions.Get(infra, capstanv1.LoadBalancerReadyCondition).Message).To(Equal(tc.message))
			g.Expect(nextLook(s, now)).To(Equal(tc.look))
		})
	}
}

func TestMoreForTheLoadBalancerToDoTakesNothingAway(t *testing.T) {
	for name, tc := range map[string]struct {
		was    bool
		status metav1.ConditionStatus
		host   string
		ready  bool
	}{
		"it was ready and still is, of an older spec": {was: true, status: metav1.ConditionTrue, host: "10.20.0.100", ready: true},
		"it has never been ready":                     {status: metav1.ConditionTrue, host: "10.20.0.100"},
		"it says that it is not":                      {was: true, status: metav1.ConditionFalse, host: "10.20.0.100"},
		"nobody has an endpoint":                      {was: true, status: metav1.ConditionTrue},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			infra := &infrav1.HyperVCluster{}
			if tc.host != "" {
				infra.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: tc.host, Port: 6443}
			}
			if tc.was {
				conditions.True(infra, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonReady, "fine")
			}
			lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			lb.Status.Conditions = []metav1.Condition{{Type: capstanv1.ReadyCondition, Status: tc.status, Reason: capstanv1.ReasonReady, ObservedGeneration: 2}}
			setStatus(&scope{infra: infra, cluster: &clusterv1.Cluster{}, loadBalancer: lb}, time.Time{})
			g.Expect(conditions.IsTrue(infra, capstanv1.ReadyCondition)).To(Equal(tc.ready))
		})
	}
}
