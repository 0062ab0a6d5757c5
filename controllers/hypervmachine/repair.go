package hypervmachine

import (
	"context"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machinehealthchecks,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=patch

// pollRepair is how often a machine is looked at that is not replaced yet: whether etcd
// has a majority depends on other machines.
const pollRepair = 30 * time.Second

// reconcileRepair asks Cluster API to replace a machine that has a cause to be replaced,
// and takes that back where it has none any more. Replacing it is Cluster API's work:
// it knows what a control plane can do without.
func (r *Reconciler) reconcileRepair(ctx context.Context, s *scope) error {
	if conditions.Get(s.vm, capstanv1.ReadyCondition) == nil || !s.machine.DeletionTimestamp.IsZero() {
		return nil
	}
	e, err := r.gather(ctx, s)
	if err != nil {
		return err
	}
	c := causeOf(e)
	s.judged, s.cause = true, c
	held := c.heldBy(e)
	if err := r.presume(ctx, s.vm, c.isDue(e.now) && held == nil, c); err != nil {
		return err
	}
	if c == nil {
		withoutCause(s, e)
		return r.settle(ctx, s, "")
	}
	return r.repairFor(ctx, s, e, c, held)
}

// withoutCause is for a machine of which nothing is known for which it would be replaced
// from here. Cluster API may still find that its node is not ready: in an outage it is kept
// from that, and one may begin at any time.
func withoutCause(s *scope, e *evidence) {
	if s.repair = unspoken(s.vm, e.hosts); !isAtRisk(s.machine) {
		return
	}
	s.again = pollRepair
	if s.held = e.hold; s.held == nil {
		s.held = backOnlyNow(e)
	}
	// One that has never been a node tells itself what it waits for.
	if s.held == nil || !s.machine.Status.NodeRef.IsDefined() {
		return
	}
	s.repair = &repair{reason: capstanv1.ReasonRepairHeld, status: metav1.ConditionUnknown, message: s.held.String(), due: s.held.Until}
	if ready := conditions.Get(s.vm, capstanv1.ReadyCondition); ready != nil && ready.Status == metav1.ConditionFalse {
		s.repair.status = metav1.ConditionFalse
	}
}

// repairGone is for a machine whose VirtualMachine somebody has deleted.
func (r *Reconciler) repairGone(ctx context.Context, s *scope) error {
	if !s.machine.DeletionTimestamp.IsZero() {
		return nil
	}
	e, err := r.gather(ctx, s)
	if err != nil {
		return err
	}
	c := &cause{reason: capstanv1.ReasonVMNotFound, status: metav1.ConditionFalse, remedy: "make it anew"}
	s.judged, s.cause = true, c
	return r.repairFor(ctx, s, e, c, c.heldBy(e))
}

// repairFor does what there is to do for a cause, now or later.
func (r *Reconciler) repairFor(ctx context.Context, s *scope, e *evidence, c *cause, held *outage.Hold) error {
	switch {
	case held != nil:
		s.held = held
		s.repair = &repair{reason: capstanv1.ReasonRepairHeld, status: c.status, message: c.says(held.String()), due: held.Until}
		return r.settle(ctx, s, "")
	case !c.isDue(e.now):
		// What is wrong now may be what the outage has left, as its node is that is not ready.
		s.held = backOnlyNow(e)
		s.repair = &repair{reason: c.reason, status: c.status, message: c.waits(), due: c.due}
		return r.settle(ctx, s, "")
	}
	watched, err := r.isWatched(ctx, s.machine)
	if err != nil {
		return err
	}
	if !watched || isExcluded(s.machine) {
		s.repair = unwatched(s.machine, c)
		return r.settle(ctx, s, "")
	}
	first, err := r.othersFirst(ctx, e, c)
	if err != nil {
		return err
	}
	if first != "" {
		s.repair = &repair{reason: c.reason, status: c.status, message: c.says(first)}
		return r.settle(ctx, s, "")
	}
	left, err := r.membersLeft(ctx, e)
	if err != nil {
		return err
	}
	s.repair = judge(s.machine, c, left)
	return r.settle(ctx, s, c.reason)
}

// gather puts together what is known, once. The hosts are the cache's own, and not changed.
func (r *Reconciler) gather(ctx context.Context, s *scope) (*evidence, error) {
	if s.evidence != nil {
		return s.evidence, nil
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	now := r.Clock.Now()
	s.evidence = &evidence{
		machine: s.machine, cluster: s.cluster, vm: s.vm, hosts: hosts.Items, now: now,
		watched: r.Outages.Begin(now), timeouts: r.Outages.Timeouts(), fault: s.infra.Status.Fault,
	}
	s.evidence.hold, s.evidence.over = r.Outages.Look(hosts.Items, now)
	return s.evidence, nil
}

// isWatched tells whether a MachineHealthCheck selects the machine: nobody else heeds
// the annotation.
func (r *Reconciler) isWatched(ctx context.Context, machine *clusterv1.Machine) (bool, error) {
	checks := &clusterv1.MachineHealthCheckList{}
	if err := r.Client.List(ctx, checks, client.InNamespace(machine.Namespace)); err != nil {
		return false, fmt.Errorf("listing the MachineHealthChecks for Machine %s: %w", client.ObjectKeyFromObject(machine), err)
	}
	for i := range checks.Items {
		check := &checks.Items[i]
		if check.Spec.ClusterName != machine.Spec.ClusterName || !check.DeletionTimestamp.IsZero() {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&check.Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(machine.Labels)) {
			return true, nil
		}
	}
	return false, nil
}

// isExcluded tells whether somebody keeps Cluster API from replacing a machine.
func isExcluded(machine *clusterv1.Machine) bool {
	return annotations.HasSkipRemediation(machine) && machine.Annotations[clusterv1.MachineSkipRemediationAnnotation] != capstanv1.ReasonRepairHeld
}

// settle has the Machine ask for a replacement under a reason, or not ask under any of
// ours. What anybody else wrote stays; what was asked because somebody wanted it is
// outweighed by a cause. While repair is held Cluster API is kept from replacing it for
// what it finds itself, because that is found in an outage, too.
func (r *Reconciler) settle(ctx context.Context, s *scope, ask string) error {
	wanted := maps.Clone(s.machine.Annotations)
	if wanted == nil {
		wanted = map[string]string{}
	}
	value, asked := wanted[clusterv1.RemediateMachineAnnotation]
	switch {
	case ask != "" && (!asked || isOwnAsk(value) || isWish(value)):
		wanted[clusterv1.RemediateMachineAnnotation] = ask
	case ask == "" && isOwnAsk(value):
		delete(wanted, clusterv1.RemediateMachineAnnotation)
	}
	held := s.held != nil
	switch _, skipped := wanted[clusterv1.MachineSkipRemediationAnnotation]; {
	case held && !skipped && !isToBeCleared(s.machine):
		wanted[clusterv1.MachineSkipRemediationAnnotation] = capstanv1.ReasonRepairHeld
	case !held && !isExcluded(s.machine):
		delete(wanted, clusterv1.MachineSkipRemediationAnnotation)
	}
	if maps.Equal(wanted, s.machine.Annotations) {
		return nil
	}
	why := ""
	if s.repair != nil {
		why = s.repair.message
	}
	ctrllog.FromContext(ctx).Info("What Cluster API is asked to do about the machine has changed", "cause", ask, "held", held, "why", why)
	if err := r.annotate(ctx, s, func(all map[string]string) {
		clear(all)
		maps.Copy(all, wanted)
	}); err != nil {
		return err
	}
	if ask != "" && value != ask && wanted[clusterv1.RemediateMachineAnnotation] == ask {
		metrics.Healed(ask)
	}
	return nil
}

// isToBeCleared tells whether a health check has yet to look again at a machine that was
// to be replaced because somebody asked for it. One that it must skip it leaves as it found
// it, and its owner would go on.
func isToBeCleared(machine *clusterv1.Machine) bool {
	check := conditions.Get(machine, clusterv1.MachineHealthCheckSucceededCondition)
	return check != nil && check.Status == metav1.ConditionFalse && check.Reason == clusterv1.MachineHealthCheckHasRemediateAnnotationReason
}

// annotate changes the Machine that was looked at: one that was made again, or that
// somebody else annotated meanwhile, is looked at again.
func (r *Reconciler) annotate(ctx context.Context, s *scope, change func(map[string]string)) error {
	before := s.machine.DeepCopy()
	if s.machine.Annotations == nil {
		s.machine.Annotations = map[string]string{}
	}
	change(s.machine.Annotations)
	if err := r.Client.Patch(ctx, s.machine, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the annotation %s of Machine %s: %w", clusterv1.RemediateMachineAnnotation, client.ObjectKeyFromObject(s.machine), err)
	}
	return nil
}
