package hypervmachine

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// presumedLost is for a VM that nobody speaks for any more, and whose node is not heard
// of either. Each alone declares nothing: an agent may be stopped, a node may hang.
func presumedLost(e *evidence) *cause {
	silent, is := e.vm.SilentSince(e.hosts)
	if !is || e.timeouts.HostLoss <= 0 {
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
	return &cause{
		reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown, presumed: true,
		message: fmt.Sprintf("neither the node nor any host that can have the VM (%s) answers", placeName(e.vm.Place())),
		since:   since, due: e.after(since, e.timeouts.HostLoss),
		remedy: "bring the host back",
	}
}

// nodeDownSince tells since when the node of a machine is known not to be ready: by its
// own word, or because its cluster has not heard of it. What could not be asked of the
// cluster counts for nothing.
func nodeDownSince(machine *clusterv1.Machine, cluster *clusterv1.Cluster) (time.Time, bool) {
	if cluster == nil || !meta.IsStatusConditionTrue(cluster.Status.Conditions, clusterv1.ClusterRemoteConnectionProbeCondition) {
		return time.Time{}, false
	}
	node := meta.FindStatusCondition(machine.Status.Conditions, clusterv1.MachineNodeReadyCondition)
	if node == nil || !machine.Status.NodeRef.IsDefined() {
		return time.Time{}, false
	}
	known := node.Status == metav1.ConditionFalse || node.Status == metav1.ConditionUnknown && node.Reason == clusterv1.MachineNodeReadyUnknownReason
	return node.LastTransitionTime.Time, known
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
	if s.machine == nil {
		return nil
	}
	e, err := r.gather(ctx, s)
	if err != nil {
		return err
	}
	c := presumedLost(e)
	held := c.heldBy(e)
	switch {
	case c == nil:
	case held != nil:
		s.again = min(held.until.Sub(e.now), pollRepair)
	case c.due.After(e.now):
		s.again = c.due.Sub(e.now)
	}
	return r.presume(ctx, s.vm, c.isDue(e.now) && held == nil, c)
}

// presume says on the VirtualMachine whether it is presumed lost, so that its deletion
// does not wait for a host that is not expected back.
func (r *Reconciler) presume(ctx context.Context, vm *capstanv1.VirtualMachine, lost bool, c *cause) error {
	want := ""
	if lost && c.presumed {
		want = clockTime(c.since)
	}
	if vm.Annotations[capstanv1.PresumedLostAnnotation] == want {
		return nil
	}
	before := vm.DeepCopy()
	if want == "" {
		delete(vm.Annotations, capstanv1.PresumedLostAnnotation)
	} else {
		metav1.SetMetaDataAnnotation(&vm.ObjectMeta, capstanv1.PresumedLostAnnotation, want)
	}
	ctrllog.FromContext(ctx).Info("Whether the VM is presumed lost has changed", "lost", want != "", "host", vm.Place().Host)
	if err := r.Client.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the annotation %s of VirtualMachine %s: %w", capstanv1.PresumedLostAnnotation, vm.Name, err)
	}
	return nil
}
