package hypervmachine

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// presumedLost is for a VM that nobody speaks for any more, and whose node is not heard
// of either. Each alone declares nothing: an agent may be stopped, a node may hang.
func presumedLost(e *evidence) *cause {
	silent, is := e.vm.SilentSince(e.hosts)
	if !is {
		return nil
	}
	down, is := nodeDownSince(e.machine, e.cluster)
	if !is {
		return nil
	}
	since := silent
	if down.After(since) {
		since = down
	}
	due, ever := e.timeouts.LostAt(e.reckoned(since))
	if !ever {
		return nil
	}
	return &cause{
		reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown, presumed: true,
		message: fmt.Sprintf("neither the node nor any host that can have the VM (%s) answers", placeName(e.vm.Place())),
		since:   since, due: due,
		remedy: "bring the host back",
	}
}

// nodeDownSince tells since when the node of a machine is known not to be ready: by its
// own word, or because its cluster has not heard of it. What could not be asked of the
// cluster counts for nothing.
func nodeDownSince(machine *clusterv1.Machine, cluster *clusterv1.Cluster) (time.Time, bool) {
	if machine == nil || cluster == nil || !meta.IsStatusConditionTrue(cluster.Status.Conditions, clusterv1.ClusterRemoteConnectionProbeCondition) {
		return time.Time{}, false
	}
	node := meta.FindStatusCondition(machine.Status.Conditions, clusterv1.MachineNodeReadyCondition)
	if node == nil || !machine.Status.NodeRef.IsDefined() {
		return time.Time{}, false
	}
	known := node.Status == metav1.ConditionFalse || node.Status == metav1.ConditionUnknown && node.Reason == clusterv1.MachineNodeReadyUnknownReason
	return node.LastTransitionTime.Time, known
}

// isNodeReady tells whether the node of a machine is known to work: its cluster answers,
// and has heard of it.
func isNodeReady(machine *clusterv1.Machine, cluster *clusterv1.Cluster) bool {
	return cluster != nil && meta.IsStatusConditionTrue(cluster.Status.Conditions, clusterv1.ClusterRemoteConnectionProbeCondition) &&
		machine.Status.NodeRef.IsDefined() && meta.IsStatusConditionTrue(machine.Status.Conditions, clusterv1.MachineNodeReadyCondition)
}

func placeName(place capstanv1.Placement) string {
	if place.FailoverCluster != "" {
		return "failover cluster " + place.FailoverCluster
	}
	return "host " + place.Host
}

// presumeGoing is for a machine that is being deleted, whoever deletes it: what is
// presumed lost is not waited for.
func (r *Reconciler) presumeGoing(ctx context.Context, s *scope) error {
	e, err := r.gather(ctx, s)
	if err != nil {
		return err
	}
	c := presumedLost(e)
	held := c.heldBy(e)
	s.silence = tellSilence(e, c, held)
	switch {
	case c == nil:
	case held != nil:
		s.again = min(held.Until.Sub(e.now), pollRepair)
	case c.due.After(e.now):
		s.again = c.due.Sub(e.now)
	}
	if s.machine == nil {
		return nil
	}
	return r.presume(ctx, s.vm, c.isDue(e.now) && held == nil, c)
}

// tellSilence tells which hosts a deletion waits for that do not answer, and what a person
// can do who knows more of them; or nothing if one of them answers.
func tellSilence(e *evidence, c *cause, held *outage.Hold) string {
	since, is := e.vm.SilentSince(e.hosts)
	if !is {
		return ""
	}
	place := e.vm.Place()
	var names []string
	for i := range e.hosts {
		if host := &e.hosts[i]; !host.Spec.Lost && host.SpeaksFor(place.FailoverCluster, place.Host) {
			names = append(names, host.Name)
		}
	}
	message := fmt.Sprintf("%s does not answer, since %s; if it will not come back, set spec.lost to true on HyperVHost %s", placeName(place), conditions.ClockTime(since), listed(names))
	switch {
	case c == nil:
		return message
	case held != nil:
		return message + "; " + held.String()
	case c.due.After(e.now):
		return fmt.Sprintf("%s, or wait until %s, when it is presumed lost unless it or the node is heard of before", message, conditions.ClockTime(c.due))
	}
	return message + "; it is presumed lost"
}

// presume says on the VirtualMachine whether it is presumed lost.
func (r *Reconciler) presume(ctx context.Context, vm *capstanv1.VirtualMachine, lost bool, c *cause) error {
	if lost && c.presumed {
		return outage.Presume(ctx, r.Client, vm, c.since)
	}
	return outage.Presume(ctx, r.Client, vm, time.Time{})
}
