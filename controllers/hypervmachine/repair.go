package hypervmachine

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
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
	switch {
	case c == nil:
		s.repair = unspoken(s.vm, e.hosts)
		return r.withdraw(ctx, s)
	case c.due.After(e.now):
		s.repair = &repair{reason: c.reason, status: c.status, message: c.waits(), due: c.due}
		return r.withdraw(ctx, s)
	}
	watched, err := r.isWatched(ctx, s.machine)
	if err != nil {
		return err
	}
	if !watched || annotations.HasSkipRemediation(s.machine) {
		s.repair = unwatched(s.machine, c)
		return r.withdraw(ctx, s)
	}
	left, err := r.membersLeft(ctx, e)
	if err != nil {
		return err
	}
	s.repair = judge(s.machine, c, left)
	return r.request(ctx, s, c)
}

// gather puts together what is known. The hosts are the cache's own, and not changed.
func (r *Reconciler) gather(ctx context.Context, s *scope) (*evidence, error) {
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	return &evidence{machine: s.machine, cluster: s.cluster, vm: s.vm, hosts: hosts.Items, now: r.Clock.Now()}, nil
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

// request annotates the Machine, unless somebody did. What was asked for another reason
// of ours is asked for this one from now on.
func (r *Reconciler) request(ctx context.Context, s *scope, c *cause) error {
	value, asked := s.machine.Annotations[clusterv1.RemediateMachineAnnotation]
	if asked && (value == c.reason || !isOwnAsk(value)) {
		return nil
	}
	ctrllog.FromContext(ctx).Info("Asking Cluster API to replace the machine", "cause", c.reason, "why", c.message, "host", s.vm.Place().Host)
	return r.annotate(ctx, s, func(all map[string]string) {
		all[clusterv1.RemediateMachineAnnotation] = c.reason
	})
}

// withdraw takes back what request wrote, and not what anybody else did.
func (r *Reconciler) withdraw(ctx context.Context, s *scope) error {
	if !isOwnAsk(s.machine.Annotations[clusterv1.RemediateMachineAnnotation]) {
		return nil
	}
	ctrllog.FromContext(ctx).Info("The machine need not be replaced any more")
	return r.annotate(ctx, s, func(all map[string]string) { delete(all, clusterv1.RemediateMachineAnnotation) })
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
