package hypervmachine

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machinehealthchecks,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=patch

// pollRepair is how often a machine is looked at that is not replaced yet: whether etcd
// has a majority depends on other machines.
const pollRepair = 30 * time.Second

// repair is how it stands with the replacement of a machine whose host is lost.
type repair struct {
	// reason is "" where Cluster API is at it, or will be.
	reason, message string
}

// reconcileRepair asks Cluster API to replace a machine that lies on a lost host, and
// takes that back where the host is lost no more. Replacing it is Cluster API's work:
// it knows what a control plane can do without.
func (r *Reconciler) reconcileRepair(ctx context.Context, s *scope) error {
	ready := conditions.Get(s.vm, capstanv1.ReadyCondition)
	if ready == nil || !s.machine.DeletionTimestamp.IsZero() {
		return nil
	}
	if ready.Reason != capstanv1.ReasonHostLost {
		return r.withdraw(ctx, s)
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return fmt.Errorf("listing HyperVHosts: %w", err)
	}
	if !s.vm.IsOnLostHost(hosts.Items) {
		return nil
	}
	watched, err := r.isWatched(ctx, s.machine)
	if err != nil {
		return err
	}
	if !watched || annotations.HasSkipRemediation(s.machine) {
		s.repair = unwatched(s.machine)
		return r.withdraw(ctx, s)
	}
	left, err := r.membersLeft(ctx, s, hosts.Items)
	if err != nil {
		return err
	}
	s.repair = judge(s.machine, left)
	return r.request(ctx, s)
}

// ofHealthCheck are the machines of the cluster that a MachineHealthCheck is for.
func (r *Reconciler) ofHealthCheck(ctx context.Context, obj client.Object) []reconcile.Request {
	check, ok := obj.(*clusterv1.MachineHealthCheck)
	if !ok {
		return nil
	}
	machines := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(check.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: check.Spec.ClusterName}); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range machines.Items {
		if ready := conditions.Get(&machines.Items[i], capstanv1.ReadyCondition); ready != nil && ready.Reason == capstanv1.ReasonHostLost {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&machines.Items[i])})
		}
	}
	return requests
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

// request annotates the Machine, unless somebody did.
func (r *Reconciler) request(ctx context.Context, s *scope) error {
	if annotations.HasRemediateMachine(s.machine) {
		return nil
	}
	ctrllog.FromContext(ctx).Info("Asking Cluster API to replace the machine, whose host is lost", "host", s.vm.Place().Host)
	return r.annotate(ctx, s, func(all map[string]string) {
		all[clusterv1.RemediateMachineAnnotation] = capstanv1.ReasonHostLost
	})
}

// withdraw takes back what request wrote, and not what anybody else did.
func (r *Reconciler) withdraw(ctx context.Context, s *scope) error {
	if s.machine.Annotations[clusterv1.RemediateMachineAnnotation] != capstanv1.ReasonHostLost {
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

// membership counts the machines of a control plane that have become nodes, and so
// members of etcd, and those of them that are on no lost host.
type membership struct{ all, left int }

// membersLeft counts for a control-plane machine, and is nothing for a worker.
func (r *Reconciler) membersLeft(ctx context.Context, s *scope, hosts []capstanv1.HyperVHost) (membership, error) {
	if !util.IsControlPlaneMachine(s.machine) {
		return membership{}, nil
	}
	inCluster := []client.ListOption{client.InNamespace(s.machine.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: s.cluster.Name}}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, inCluster...); err != nil {
		return membership{}, fmt.Errorf("listing VirtualMachines: %w", err)
	}
	lost := map[string]bool{}
	for i := range vms.Items {
		lost[vms.Items[i].Name] = vms.Items[i].IsOnLostHost(hosts)
	}
	machines := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, machines, append(inCluster, client.HasLabels{clusterv1.MachineControlPlaneLabel})...); err != nil {
		return membership{}, fmt.Errorf("listing Machines: %w", err)
	}
	var members membership
	for i := range machines.Items {
		if m := &machines.Items[i]; m.Status.NodeRef.IsDefined() {
			members.all++
			if !lost[m.Spec.InfrastructureRef.Name] {
				members.left++
			}
		}
	}
	return members, nil
}

func unwatched(machine *clusterv1.Machine) *repair {
	if annotations.HasSkipRemediation(machine) {
		return &repair{capstanv1.ReasonHostLost, fmt.Sprintf("Cluster API does not replace Machine %s because of its annotation %s: remove that, or delete the Machine",
			machine.Name, clusterv1.MachineSkipRemediationAnnotation)}
	}
	return &repair{capstanv1.ReasonHostLost, fmt.Sprintf("no MachineHealthCheck selects Machine %s, so Cluster API does not replace it: add one, or delete the Machine", machine.Name)}
}

// judge tells what is to be expected of Cluster API. It refuses to take away what an
// etcd without majority may need; while no API server answers, it does not even say so.
func judge(machine *clusterv1.Machine, members membership) *repair {
	const restore = "restore the cluster from a backup, or bring the host back and set its spec.lost to false"
	switch {
	case members.all == 1 && members.left == 0:
		return &repair{capstanv1.ReasonCannotRepair, "the machine is the only member of its control plane, and etcd's data is on it alone: " + restore}
	case members.left < members.all/2+1 && members.all > 0:
		return &repair{capstanv1.ReasonCannotRepair, fmt.Sprintf("%d of %d members of etcd are left, which is no majority: %s", members.left, members.all, restore)}
	}
	verdict := conditions.Get(machine, clusterv1.MachineOwnerRemediatedCondition)
	switch {
	case verdict == nil || verdict.Status != metav1.ConditionFalse || verdict.Message == "":
		return &repair{message: "Cluster API is asked to replace the machine"}
	case members.all > 0 && verdict.Reason == controlplanev1.KubeadmControlPlaneMachineCannotBeRemediatedReason:
		return &repair{capstanv1.ReasonCannotRepair, fmt.Sprintf("Cluster API refuses to replace the machine (%s), and tries again; if that does not pass, %s", verdict.Message, restore)}
	default:
		return &repair{message: "Cluster API is asked to replace the machine: " + verdict.Message}
	}
}

// setRepair tells with the rest why a machine whose host is lost is not replaced, or
// that it will be.
func setRepair(s *scope) {
	if s.repair == nil {
		return
	}
	message := conditions.Get(s.infra, capstanv1.VMReadyCondition).Message + "; " + s.repair.message
	if s.repair.reason == capstanv1.ReasonCannotRepair {
		conditions.False(s.infra, capstanv1.ReadyCondition, capstanv1.ReasonCannotRepair, "%s", message)
		return
	}
	conditions.Unknown(s.infra, capstanv1.ReadyCondition, capstanv1.ReasonHostLost, "%s", message)
}
