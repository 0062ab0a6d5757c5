package hypervmachine

import (
	"context"
	"fmt"
	"maps"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.applier = &apply.Applier{Client: r.Client, Live: r.Live}
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition, Quiet: true}
	ofCluster, err := util.ClusterToTypedObjectsMapper(r.Client, &infrav1.HyperVMachineList{}, mgr.GetScheme())
	if err != nil {
		return fmt.Errorf("mapping Clusters to HyperVMachines: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("hypervmachine").
		For(&infrav1.HyperVMachine{}).
		Owns(&capstanv1.VirtualMachine{}).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(util.MachineToInfrastructureMapFunc(infrav1.GroupVersion.WithKind("HyperVMachine")))).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(r.whoWaitFor), builder.WithPredicates(turnChanged())).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(ofCluster),
			builder.WithPredicates(predicates.ClusterPausedTransitionsOrInfrastructureProvisioned(mgr.GetScheme(), mgr.GetLogger()))).
		Watches(&clusterv1.MachineHealthCheck{}, handler.EnqueueRequestsFromMapFunc(r.ofHealthCheck), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.HyperVHost{}, handler.EnqueueRequestsFromMapFunc(r.ofHost), builder.WithPredicates(evidenceChanged())).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// ofHealthCheck are the machines of the cluster that a MachineHealthCheck is for.
func (r *Reconciler) ofHealthCheck(ctx context.Context, obj client.Object) []reconcile.Request {
	check, ok := obj.(*clusterv1.MachineHealthCheck)
	if !ok {
		return nil
	}
	machines := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(check.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: check.Spec.ClusterName}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the HyperVMachines that a MachineHealthCheck is for", "MachineHealthCheck", check.Namespace+"/"+check.Name)
		return nil
	}
	requests := make([]reconcile.Request, 0, len(machines.Items))
	for i := range machines.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&machines.Items[i])})
	}
	return requests
}

// ofHost are the machines whose VM a host speaks for. They bear the names of their VMs.
func (r *Reconciler) ofHost(ctx context.Context, obj client.Object) []reconcile.Request {
	host, ok := obj.(*capstanv1.HyperVHost)
	if !ok {
		return nil
	}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the VirtualMachines that a HyperVHost speaks for", "HyperVHost", host.Name)
		return nil
	}
	var requests []reconcile.Request
	for i := range vms.Items {
		vm := &vms.Items[i]
		place := vm.Place()
		if vm.Spec.Role != capstanv1.RoleLoadBalancer && host.SpeaksFor(place.FailoverCluster, place.Host) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(vm)})
		}
	}
	return requests
}

// evidenceChanged leaves out reports of a host by which no machine is judged otherwise.
func evidenceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*capstanv1.HyperVHost)
		if !ok {
			return true
		}
		is, ok := e.ObjectNew.(*capstanv1.HyperVHost)
		return !ok || was.Generation != is.Generation || was.Status.FailoverCluster != is.Status.FailoverCluster ||
			conditions.IsTrue(was, capstanv1.AgentConnectedCondition) != conditions.IsTrue(is, capstanv1.AgentConnectedCondition) ||
			!maps.Equal(faults(was), faults(is))
	}}
}

func faults(host *capstanv1.HyperVHost) map[string]string {
	found := map[string]string{}
	for i := range host.Status.Volumes {
		found[host.Status.Volumes[i].Name] = host.Status.Volumes[i].Fault
	}
	return found
}
