package loadbalancer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/secret"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// clusterIndex finds the LoadBalancers of a Cluster.
const clusterIndex = "spec.clusterName"

// claimIndex finds the AddressReservations of an IPAddressClaim.
const claimIndex = "spec.claimRef.uid"

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.applier = &apply.Applier{Client: r.Client, Live: r.Live}
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition, Quiet: true}
	if r.Secrets == nil {
		// They are watched below, so that they are in it.
		r.Secrets = mgr.GetCache()
	}
	r.agents = newAgents(r.Manager, r.Pins, r.Clock)
	if err := mgr.Add(manager.RunnableFunc(r.agents.run)); err != nil {
		return fmt.Errorf("adding the connections to load-balancer VMs: %w", err)
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &capstanv1.LoadBalancer{}, clusterIndex, func(obj client.Object) []string {
		if lb, ok := obj.(*capstanv1.LoadBalancer); ok {
			return []string{lb.Spec.ClusterName}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("indexing LoadBalancers by Cluster: %w", err)
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &capstanv1.AddressReservation{}, claimIndex, func(obj client.Object) []string {
		if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
			return []string{reservation.Spec.ClaimRef.UID}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("indexing AddressReservations by claim: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("loadbalancer").
		For(&capstanv1.LoadBalancer{}).
		Owns(&capstanv1.VirtualMachine{}).
		// The claim tells of the LogicalNetwork too, once there is one: the ipam controller
		// watches it.
		Owns(&ipamv1.IPAddressClaim{}).
		Watches(&capstanv1.LogicalNetwork{}, handler.EnqueueRequestsFromMapFunc(r.inNewNetwork), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(event.UpdateEvent) bool { return false },
		})).
		Watches(&clusterv1.Cluster{}, r.of(func(obj client.Object) string { return obj.GetName() }),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&clusterv1.Machine{}, r.of(clusterOfMachine), builder.WithPredicates(planChanged(memberOfMachine))).
		Watches(&capstanv1.VirtualMachine{}, r.of(clusterOfMember), builder.WithPredicates(planChanged(firstAddress))).
		Watches(&corev1.Secret{}, r.of(clusterOfCA)).
		Watches(&capstanv1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(r.withoutVRID), builder.WithPredicates(conditions.OnlyDeletions())).
		Watches(&capstanv1.Tombstone{}, handler.EnqueueRequestsFromMapFunc(ofTombstone), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(event.UpdateEvent) bool { return false },
		})).
		Watches(&capstanv1.HyperVHost{}, handler.EnqueueRequestsFromMapFunc(r.ofDoomedHost), builder.WithPredicates(planChanged(fateOf))).
		WatchesRawSource(source.Channel(r.agents.changed, &handler.EnqueueRequestForObject{})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// of enqueues the LoadBalancers of the Cluster that an object belongs to.
func (r *Reconciler) of(clusterName func(client.Object) string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		name := clusterName(obj)
		if name == "" {
			return nil
		}
		return r.matching(ctx, client.InNamespace(obj.GetNamespace()), client.MatchingFields{clusterIndex: name})
	})
}

func (r *Reconciler) matching(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	list := &capstanv1.LoadBalancerList{}
	if err := r.Client.List(ctx, list, options...); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// withoutVRID are those that may have waited for a virtual router ID to be freed, and the
// one that speaks by it though somebody else had it.
func (r *Reconciler) withoutVRID(ctx context.Context, obj client.Object) []reconcile.Request {
	freed, ok := obj.(*capstanv1.AddressReservation)
	if !ok {
		return nil
	}
	list := &capstanv1.LoadBalancerList{}
	if err := r.Client.List(ctx, list); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		lb := &list.Items[i]
		if lb.Spec.LogicalNetwork == freed.Spec.LogicalNetwork && (lb.Status.VRID == 0 || freed.Spec.Address == addresspool.VirtualRouter(lb.Status.VRID)) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(lb)})
		}
	}
	return requests
}

// ofTombstone is the LoadBalancer that a buried VM belonged to.
func ofTombstone(_ context.Context, obj client.Object) []reconcile.Request {
	tombstone, ok := obj.(*capstanv1.Tombstone)
	if name := obj.GetLabels()[capstanv1.LoadBalancerLabel]; ok && name != "" {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: tombstone.Spec.VMRef.Namespace, Name: name}}}
	}
	return nil
}

func clusterOfMachine(obj client.Object) string {
	if machine, ok := obj.(*clusterv1.Machine); ok && util.IsControlPlaneMachine(machine) {
		return machine.Spec.ClusterName
	}
	return ""
}

func clusterOfMember(obj client.Object) string {
	if vm, ok := obj.(*capstanv1.VirtualMachine); ok && vm.Spec.Role == capstanv1.RoleControlPlane {
		return vm.Spec.ClusterName
	}
	return ""
}

func clusterOfCA(obj client.Object) string {
	cluster, purpose, err := secret.ParseSecretName(obj.GetName())
	if err != nil || purpose != secret.ClusterCA {
		return ""
	}
	return cluster
}

// planChanged lets only those updates through that change what is planned with.
func planChanged[T comparable](part func(client.Object) T) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return part(e.ObjectOld) != part(e.ObjectNew) }}
}
