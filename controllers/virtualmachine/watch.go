package virtualmachine

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func (r *Reconciler) watch(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("virtualmachine").
		For(&capstanv1.VirtualMachine{}, builder.WithPredicates(specChanged())).
		Owns(&ipamv1.IPAddressClaim{}).
		Watches(&ipamv1.IPAddress{}, handler.EnqueueRequestsFromMapFunc(ofAddress)).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofBootstrapSecret)).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(r.ofCluster), builder.WithPredicates(pauseChanged())).
		Watches(&capstanv1.HyperVHost{}, handler.EnqueueRequestsFromMapFunc(r.ofHost), builder.WithPredicates(hostChanged())).
		Watches(&capstanv1.LogicalNetwork{}, handler.EnqueueRequestsFromMapFunc(r.waiting), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.VMImage{}, handler.EnqueueRequestsFromMapFunc(r.waiting), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// specChanged leaves out what this controller itself writes into status.
func specChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() ||
				paused(e.ObjectOld) != paused(e.ObjectNew)
		},
	})
}

func paused(obj client.Object) bool {
	_, is := obj.GetAnnotations()[clusterv1.PausedAnnotation]
	return is
}

func pauseChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*clusterv1.Cluster)
		if !ok {
			return true
		}
		is, ok := e.ObjectNew.(*clusterv1.Cluster)
		return !ok || ptr.Deref(was.Spec.Paused, false) != ptr.Deref(is.Spec.Paused, false)
	}}
}

// hostChanged leaves out reports that change nothing for any VM.
func hostChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*capstanv1.HyperVHost)
		if !ok {
			return true
		}
		is, ok := e.ObjectNew.(*capstanv1.HyperVHost)
		return !ok || was.Generation != is.Generation || connected(was) != connected(is) ||
			!equality.Semantic.DeepEqual(capacity(was), capacity(is))
	}}
}

func capacity(h *capstanv1.HyperVHost) any {
	return []any{h.Status.Memory, h.Status.MemoryFree, h.Status.Processors, h.Status.Volumes, h.Status.Switches, h.Status.FailoverCluster}
}

func connected(h *capstanv1.HyperVHost) bool {
	return conditions.IsTrue(h, capstanv1.AgentConnectedCondition)
}

// ofAddress relies on an address bearing the name of its claim, which bears that
// of the VM and the number of the network.
func ofAddress(_ context.Context, obj client.Object) []reconcile.Request {
	at := strings.LastIndexByte(obj.GetName(), '-')
	if at < 1 {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: obj.GetName()[:at]}}}
}

func (r *Reconciler) ofBootstrapSecret(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.requests(ctx, obj.GetNamespace(), func(vm *capstanv1.VirtualMachine) bool {
		return vm.Spec.BootstrapSecret == obj.GetName() && !conditions.IsTrue(vm, capstanv1.ReadyCondition)
	})
}

func (r *Reconciler) ofCluster(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.requests(ctx, obj.GetNamespace(), func(vm *capstanv1.VirtualMachine) bool { return vm.Spec.ClusterName == obj.GetName() })
}

// ofHost are the VMs that the host speaks for, if they wait for it or it is lost, and
// those that have no place yet.
func (r *Reconciler) ofHost(ctx context.Context, obj client.Object) []reconcile.Request {
	host, ok := obj.(*capstanv1.HyperVHost)
	if !ok {
		return nil
	}
	return r.requests(ctx, "", func(vm *capstanv1.VirtualMachine) bool {
		if vm.Spec.Placement == nil {
			return vm.DeletionTimestamp.IsZero()
		}
		return speaks(host, vm.Spec.Placement) && (!conditions.IsTrue(vm, capstanv1.ReadyCondition) || !connected(host) || host.Spec.Lost)
	})
}

func (r *Reconciler) waiting(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, "", func(vm *capstanv1.VirtualMachine) bool { return !conditions.IsTrue(vm, capstanv1.ReadyCondition) })
}

func (r *Reconciler) requests(ctx context.Context, namespace string, wanted func(*capstanv1.VirtualMachine) bool) []reconcile.Request {
	vms, err := r.list(ctx, namespace)
	if err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range vms {
		if wanted(&vms[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&vms[i])})
		}
	}
	return requests
}

// list returns VMs that must not be changed: they are the cache's own.
func (r *Reconciler) list(ctx context.Context, namespace string) ([]capstanv1.VirtualMachine, error) {
	vms := &capstanv1.VirtualMachineList{}
	options := &client.ListOptions{Namespace: namespace, UnsafeDisableDeepCopy: ptr.To(true)}
	if err := r.Client.List(ctx, vms, options); err != nil {
		return nil, err
	}
	return vms.Items, nil
}
