package service

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/util/workqueue"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.Add(manager.RunnableFunc(r.sessions.run)); err != nil {
		return fmt.Errorf("adding the sessions with workload clusters: %w", err)
	}
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("service").
		For(&clusterv1.Cluster{}, builder.WithPredicates(changed)).
		Watches(&capstanv1.LoadBalancer{}, toldOf(r.loadBalancerChanged)).
		Watches(&ipamv1.IPAddressClaim{}, toldOf(r.claimChanged)).
		Watches(&clusterv1.Machine{}, toldOf(r.machineChanged), builder.WithPredicates(onlyLeaving())).
		Watches(&capstanv1.VirtualMachine{}, toldOf(r.virtualMachineChanged), builder.WithPredicates(onlyAddressed())).
		WatchesRawSource(r.Connections.GetClusterSource("service", func(_ context.Context, cluster client.Object) []ctrl.Request {
			return []ctrl.Request{{NamespacedName: client.ObjectKeyFromObject(cluster)}}
		})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// toldOf tells sessions of what has changed at once: a Service that waits shall not
// wait for the turn of its Cluster. Those Clusters that tell returns have theirs, too.
func toldOf(tell func(ctx context.Context, obj client.Object, isNew bool) *client.ObjectKey) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(cluster *client.ObjectKey, q queue) {
		if cluster != nil {
			q.Add(reconcile.Request{NamespacedName: *cluster})
		}
	}
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(tell(ctx, e.Object, true), q) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(tell(ctx, e.ObjectNew, isNews(e)), q) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(tell(ctx, e.Object, true), q) },
		GenericFunc: func(context.Context, event.GenericEvent, queue) {},
	}
}

// isNews tells a change by which a session may begin or end.
func isNews(e event.UpdateEvent) bool {
	if e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() {
		return true
	}
	_, was := e.ObjectOld.GetAnnotations()[clusterv1.PausedAnnotation]
	_, is := e.ObjectNew.GetAnnotations()[clusterv1.PausedAnnotation]
	return was != is
}

func (r *Reconciler) loadBalancerChanged(_ context.Context, obj client.Object, isNew bool) *client.ObjectKey {
	lb, ok := obj.(*capstanv1.LoadBalancer)
	if !ok {
		return nil
	}
	cluster := client.ObjectKey{Namespace: lb.Namespace, Name: lb.Spec.ClusterName}
	if s := r.sessions.of(cluster); s != nil {
		s.observe(lb)
	}
	if isNew {
		return &cluster
	}
	return nil
}

func (r *Reconciler) claimChanged(_ context.Context, obj client.Object, isNew bool) *client.ObjectKey {
	claim, ok := obj.(*ipamv1.IPAddressClaim)
	if !ok || claim.Labels[capstanv1.ServiceVIPLabel] == "" {
		return nil
	}
	if s := r.sessions.of(client.ObjectKey{Namespace: claim.Namespace, Name: claim.Spec.ClusterName}); s != nil {
		s.claims.ring()
		if isNew || !claim.DeletionTimestamp.IsZero() {
			s.gone.ring()
		}
	}
	return nil
}

func (r *Reconciler) machineChanged(ctx context.Context, obj client.Object, _ bool) *client.ObjectKey {
	machine, ok := obj.(*clusterv1.Machine)
	if !ok {
		return nil
	}
	if s := r.sessions.of(client.ObjectKey{Namespace: machine.Namespace, Name: machine.Spec.ClusterName}); s != nil {
		s.machinesChanged(ctx)
	}
	return nil
}

func (r *Reconciler) virtualMachineChanged(ctx context.Context, obj client.Object, _ bool) *client.ObjectKey {
	vm, ok := obj.(*capstanv1.VirtualMachine)
	if !ok {
		return nil
	}
	if s := r.sessions.of(client.ObjectKey{Namespace: vm.Namespace, Name: vm.Spec.ClusterName}); s != nil {
		s.machinesChanged(ctx)
	}
	return nil
}

// onlyAddressed lets through that VMs get, or lose, what nodes are known by.
func onlyAddressed() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(*capstanv1.VirtualMachine)
			is, also := e.ObjectNew.(*capstanv1.VirtualMachine)
			return !ok || !also || was.Spec.ID != is.Spec.ID || !slices.Equal(was.Status.Addresses, is.Status.Addresses)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// onlyLeaving lets through that machines are about to go, and are gone.
func onlyLeaving() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
