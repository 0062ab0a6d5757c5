package workloadcluster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope) {
	wlc := s.wlc
	wlc.Status.ObservedGeneration = wlc.Generation
	setPaused(wlc)
	if !wlc.DeletionTimestamp.IsZero() {
		message := cmp.Or(s.left, "all that was made for the cluster is gone")
		if s.err != nil {
			message = s.err.Error()
		}
		conditions.False(wlc, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "%s", message)
		return
	}
	if s.err != nil {
		conditions.Failed(wlc, capstanv1.ReadyCondition, reasonOf(s.err), s.err)
		return
	}
	setEndpoint(s)
	setControlPlane(s)
	setNodePools(s)
	setReady(wlc)
}

// setReady sums up. The network plugin counts as far as it is installed by Capstan; other
// addons do not decide over the cluster. What is wrong with the plugin is why no node
// becomes ready, and is told instead of that.
func setReady(wlc *capstanv1.WorkloadCluster) {
	parts := []string{capstanv1.LoadBalancerReadyCondition, capstanv1.ControlPlaneReadyCondition, capstanv1.NodePoolsReadyCondition}
	if reason, message := networkPluginWaits(wlc); reason != "" {
		missing := slices.ContainsFunc(parts, func(part string) bool { return !conditions.IsTrue(wlc, part) })
		if !missing || conditions.IsFault(reason) && conditions.IsTrue(wlc, capstanv1.LoadBalancerReadyCondition) {
			conditions.False(wlc, capstanv1.ReadyCondition, reason, "network plugin: %s", message)
			return
		}
	}
	conditions.Summarize(wlc, capstanv1.ReadyCondition, capstanv1.ReasonReady,
		fmt.Sprintf("version %s, %s control-plane machines and %s nodes ready", wlc.Status.Version, wlc.Status.ControlPlane.Summary, wlc.Status.Nodes.Summary),
		parts...)
}

func reasonOf(err error) string {
	var notOwned *apply.NotOwnedError
	var noImage *vmimage.NotFoundError
	var going *clusterGoingError
	var paused *pausedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &paused):
		return capstanv1.ReasonPaused
	case errors.As(err, &notOwned):
		return capstanv1.ReasonClusterNotOwned
	case errors.As(err, &noImage):
		return capstanv1.ReasonImageNotFound
	case errors.As(err, &going):
		return capstanv1.ReasonWaitingForCluster
	default:
		return capstanv1.ReasonInternalError
	}
}

func setEndpoint(s *scope) {
	// Cluster API hands it on from one to the other a moment later.
	if endpoint := cmp.Or(s.cluster.Spec.ControlPlaneEndpoint, s.infra.Spec.ControlPlaneEndpoint); !endpoint.IsZero() {
		s.wlc.Status.Endpoint = &capstanv1.Endpoint{Host: endpoint.Host, Port: endpoint.Port}
	}
	if conditions.IsStillTrue(s.infra, capstanv1.ReadyCondition, conditions.IsTrue(s.wlc, capstanv1.LoadBalancerReadyCondition)) {
		conditions.True(s.wlc, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonReady,
			"the API server's endpoint is %s", s.infra.Spec.ControlPlaneEndpoint.String())
		return
	}
	message := "waiting for the load balancer"
	if ready := conditions.Get(s.infra, capstanv1.ReadyCondition); ready != nil && ready.Status != metav1.ConditionTrue {
		message = ofLoadBalancer(ready.Message)
	}
	conditions.False(s.wlc, capstanv1.LoadBalancerReadyCondition, capstanv1.ReasonWaitingForLoadBalancer, "%s", message)
}

// ofLoadBalancer makes it clear that a message is about the load balancer.
func ofLoadBalancer(message string) string {
	if strings.Contains(message, "load balancer") || strings.Contains(message, "LoadBalancer") {
		return message
	}
	return "load balancer: " + message
}

func setControlPlane(s *scope) {
	kcp := s.controlPlane
	wanted := ptr.Deref(kcp.Spec.Replicas, 0)
	ready := ptr.Deref(kcp.Status.ReadyReplicas, 0)
	s.wlc.Status.ControlPlane = counts(wanted, ready)
	s.wlc.Status.Version = lowestVersion(kcp.Status.Versions)
	s.wlc.Status.TargetVersion = s.version.effective
	if ptr.Deref(kcp.Status.Initialization.ControlPlaneInitialized, false) {
		s.wlc.Status.KubeconfigSecret = secret.Name(s.wlc.Name, secret.Kubeconfig)
	}
	switch {
	case s.version.queued != "":
		conditions.False(s.wlc, capstanv1.ControlPlaneReadyCondition, capstanv1.ReasonVersionQueued, "%s", s.version.queued)
	case unrepaired(s) != nil:
		// Cluster API, which cannot ask an API server that is gone, says what it said last.
		m := unrepaired(s)
		conditions.False(s.wlc, capstanv1.ControlPlaneReadyCondition, conditions.Get(m, capstanv1.ReadyCondition).Reason, "%s", tellWait(m))
	case controlPlaneSettled(kcp):
		conditions.True(s.wlc, capstanv1.ControlPlaneReadyCondition, capstanv1.ReasonReady, "%d of %d machines ready at %s", ready, wanted, kcp.Spec.Version)
	default:
		conditions.False(s.wlc, capstanv1.ControlPlaneReadyCondition, capstanv1.ReasonWaitingForControlPlane, "%s", controlPlaneWaits(s))
	}
}

// controlPlaneWaits tells how far the control plane is, which pools wait for it,
// and what it waits for itself.
func controlPlaneWaits(s *scope) string {
	message := controlPlaneProgress(s.controlPlane, s.machines)
	if waiting := whoWaits(s.pools, s.version.effective); waiting != "" {
		message += "; " + waiting
	}
	for i := range s.infraMachines {
		m := &s.infraMachines[i]
		if _, is := m.Labels[clusterv1.MachineControlPlaneLabel]; is && isWaiting(m) {
			return message + "; " + tellWait(m)
		}
	}
	if c := meta.FindStatusCondition(s.controlPlane.Status.Conditions, controlplanev1.KubeadmControlPlaneAvailableCondition); c != nil && c.Status != metav1.ConditionTrue {
		message += "; " + c.Message
	}
	return message
}

// controlPlaneSettled tells whether all members are there, ready and as the spec
// says.
func controlPlaneSettled(kcp *controlplanev1.KubeadmControlPlane) bool {
	wanted := ptr.Deref(kcp.Spec.Replicas, 0)
	return kcp.Status.ObservedGeneration >= kcp.Generation &&
		meta.IsStatusConditionTrue(kcp.Status.Conditions, controlplanev1.KubeadmControlPlaneAvailableCondition) &&
		ptr.Deref(kcp.Status.Replicas, 0) == wanted &&
		ptr.Deref(kcp.Status.ReadyReplicas, 0) == wanted &&
		ptr.Deref(kcp.Status.UpToDateReplicas, 0) == wanted
}

func setNodePools(s *scope) {
	var wanted, ready int32
	var waiting sayings
	reason := capstanv1.ReasonWaitingForNodePools
	for i := range s.pools {
		pool := &s.pools[i]
		wanted += pool.WantedReplicas()
		ready += pool.Status.ReadyReplicas
		current := pool.Status.ObservedClusterGeneration >= s.wlc.Generation
		if current && conditions.IsCurrentlyTrue(pool, capstanv1.ReadyCondition) {
			continue
		}
		waiting.add(pool.Name, poolWaits(s, pool))
		if c := conditions.Get(pool, capstanv1.ReadyCondition); c != nil && c.Reason == capstanv1.ReasonRepairHeld {
			reason = capstanv1.ReasonRepairHeld
		}
	}
	s.wlc.Status.Nodes = counts(wanted, ready)
	if len(waiting) > 0 {
		conditions.False(s.wlc, capstanv1.NodePoolsReadyCondition, reason, "%s", waiting)
		return
	}
	conditions.True(s.wlc, capstanv1.NodePoolsReadyCondition, capstanv1.ReasonReady, "%s, %s ready", conditions.Counted(len(s.pools), "node pool"), conditions.Counted(ready, "node"))
}

// poolWaits tells, after its name, how far a pool is, or else in its own words what
// it waits for.
func poolWaits(s *scope, pool *capstanv1.NodePool) string {
	c := conditions.Get(pool, capstanv1.ReadyCondition)
	switch {
	case c == nil || c.Status == metav1.ConditionTrue:
		return ": not looked at yet"
	case waitsFor(pool, s.version.effective):
		return ": waiting for the control plane"
	case c.Reason == capstanv1.ReasonWaitingForMachines:
		return " " + poolProgress(pool, s.machines, s.infraMachines)
	default:
		return ": " + c.Message
	}
}

func counts(wanted, ready int32) *capstanv1.ReplicaCounts {
	return &capstanv1.ReplicaCounts{Wanted: wanted, Ready: ready, Summary: fmt.Sprintf("%d/%d", ready, wanted)}
}
