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
	held := c.heldBy(e)
	if err := r.presume(ctx, s.vm, c.isDue(e.now) && held == nil, c); err != nil {
		return err
	}
	if c == nil {
		s.repair = unspoken(s.vm, e.hosts)
		if back := backOnlyNow(e); back != nil {
			s.repair = &repair{reason: capstanv1.ReasonRepairHeld, status: metav1.ConditionUnknown, message: back.String(), due: back.until}
		}
		return r.settle(ctx, s, "")
	}
	return r.repairFor(ctx, s, e, c, held)
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
	return r.repairFor(ctx, s, e, c, c.heldBy(e))
}

// repairFor does what there is to do for a cause, now or later.
func (r *Reconciler) repairFor(ctx context.Context, s *scope, e *evidence, c *cause, held *hold) error {
	switch {
	case held != nil:
		s.repair = &repair{reason: capstanv1.ReasonRepairHeld, status: c.status, message: c.says(held.String()), due: held.until}
		return r.settle(ctx, s, "")
	case !c.isDue(e.now):
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
	left, err := r.membersLeft(ctx, e)
	if err != nil {
		return err
	}
	s.repair = judge(s.machine, c, left)
	return r.settle(ctx, s, c.reason)
}

// gather puts together what is known. The hosts are the cache's own, and not changed.
func (r *Reconciler) gather(ctx context.Context, s *scope) (*evidence, error) {
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	return &evidence{machine: s.machine, cluster: s.cluster, vm: s.vm, hosts: hosts.Items, now: r.Clock.Now(), watched: r.watchedSince(), timeouts: r.Timeouts.withDefaults()}, nil
}

// isWatched tells whether a MachineHealthCheck selects the machine: nobody else heeds
// the annotation.
func (r *Reconciler) isWatched(ctx context.Context, machine *clusterv1.Machine) (bool, error) {
	checks := &clusterv1.MachineHealthCheckList{}
	if err := r.Client.List(ctx, checks, client.InNamespace(machine.Namespace)); err != nil {
		return false, fmt.Errorf("listing MachineHealthChecks: %w", err)
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
// ours. What anybody else wrote stays. While repair is held Cluster API is kept from
// replacing it for what it finds itself, because that is found in an outage, too.
func (r *Reconciler) settle(ctx context.Context, s *scope, ask string) error {
	wanted := maps.Clone(s.machine.Annotations)
	if wanted == nil {
		wanted = map[string]string{}
	}
	value, asked := wanted[clusterv1.RemediateMachineAnnotation]
	switch {
	case ask != "" && (!asked || isOwnAsk(value)):
		wanted[clusterv1.RemediateMachineAnnotation] = ask
	case ask == "" && isOwnAsk(value):
		delete(wanted, clusterv1.RemediateMachineAnnotation)
	}
	held := s.repair != nil && s.repair.reason == capstanv1.ReasonRepairHeld
	switch _, skipped := wanted[clusterv1.MachineSkipRemediationAnnotation]; {
	case held && !skipped:
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
		return fmt.Errorf("changing the annotation %s of Machine %s: %w", clusterv1.RemediateMachineAnnotation, s.machine.Name, err)
	}
	return nil
}
