package hypervcluster

import (
	"cmp"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// patience is how long the load balancer's way is left to itself to tell. The Cluster
// and the WorkloadCluster repeat what is told here.
const patience = 30 * time.Second

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope, now time.Time) {
	infra := s.infra
	infra.Status.ObservedGeneration = infra.Generation
	conditions.False(infra, clusterv1.PausedCondition, clusterv1.NotPausedReason, "")
	switch {
	case !infra.DeletionTimestamp.IsZero():
		message := cmp.Or(s.left, "all that was made for the cluster is gone")
		if s.err != nil {
			message = s.err.Error()
		}
		conditions.False(infra, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "%s", message)
		return
	case s.cluster == nil:
		conditions.False(infra, capstanv1.ReadyCondition, capstanv1.ReasonWaitingForCluster, "waiting for a Cluster to refer to this HyperVCluster")
		return
	case s.err != nil:
		conditions.Failed(infra, capstanv1.ReadyCondition, reasonOf(s.err), s.err)
		return
	}
	infra.Status.FailureDomains = s.domains
	setReady(s, now)
	if conditions.IsTrue(infra, capstanv1.ReadyCondition) {
		infra.Status.Initialization.Provisioned = ptr.To(true)
	}
}

// untilHeldUp returns for how long the load balancer counts as on its way, or 0. What is
// wrong with it is told at once.
func untilHeldUp(lb *capstanv1.LoadBalancer, now time.Time) time.Duration {
	ready := conditions.Get(lb, capstanv1.ReadyCondition)
	if ready == nil || ready.Status != metav1.ConditionFalse || conditions.IsFault(ready.Reason) {
		return 0
	}
	return max(ready.LastTransitionTime.Add(patience).Sub(now), 0)
}

// nextLook is when the status would say something else by itself; zero for never.
func nextLook(s *scope, now time.Time) time.Duration {
	if s.loadBalancer == nil || s.err != nil || !s.infra.DeletionTimestamp.IsZero() {
		return 0
	}
	return untilHeldUp(s.loadBalancer, now)
}

func setReady(s *scope, now time.Time) {
	infra := s.infra
	if s.loadBalancer != nil {
		if !conditions.IsStillTrue(s.loadBalancer, capstanv1.ReadyCondition, conditions.IsTrue(infra, capstanv1.LoadBalancerReadyCondition)) ||
			infra.Spec.ControlPlaneEndpoint.IsZero() {
			message := "waiting for the load balancer"
			if c := conditions.Get(s.loadBalancer, capstanv1.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue && untilHeldUp(s.loadBalancer, now) == 0 {
				message = c.Message
			}
			conditions.False(infra, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonWaitingForLoadBalancer, "%s", message)
		} else {
			conditions.True(infra, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonReady, "the load balancer carries %s", infra.Spec.ControlPlaneEndpoint.String())
		}
	} else {
		conditions.True(infra, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonReady, "the endpoint %s is your own", infra.Spec.ControlPlaneEndpoint.String())
	}
	conditions.Summarize(infra, capstanv1.ReadyCondition, capstanv1.ReasonReady,
		"the API server's endpoint is "+infra.Spec.ControlPlaneEndpoint.String(), capstanv1.LoadBalancerReadyCondition)
}

func reasonOf(err error) string {
	var notOwned *apply.NotOwnedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &notOwned):
		return capstanv1.ReasonConflict
	case errors.Is(err, errNoEndpoint), errors.Is(err, errNoImage):
		return capstanv1.ReasonInvalidSpec
	default:
		return capstanv1.ReasonInternalError
	}
}
