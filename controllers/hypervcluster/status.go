package hypervcluster

import (
	"cmp"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope) {
	infra := s.infra
	infra.Status.ObservedGeneration = infra.Generation
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
	setReady(s)
	if conditions.IsTrue(infra, capstanv1.ReadyCondition) {
		infra.Status.Initialization.Provisioned = ptr.To(true)
	}
}

func setReady(s *scope) {
	infra := s.infra
	if s.loadBalancer != nil {
		if !conditions.IsCurrentlyTrue(s.loadBalancer, capstanv1.ReadyCondition) || infra.Spec.ControlPlaneEndpoint.IsZero() {
			message := "waiting for the load balancer"
			if c := conditions.Get(s.loadBalancer, capstanv1.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue {
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
