package loadbalancer

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch

// hostOf is the host that has the VM, or is to have it, or "".
func hostOf(vm *capstanv1.VirtualMachine) string { return vm.CurrentHost() }

// fate is what an administrator says of a host that concerns the VMs on it.
type fate struct{ lost, draining bool }

func fateOf(obj client.Object) fate {
	host, ok := obj.(*capstanv1.HyperVHost)
	if !ok {
		return fate{}
	}
	return fate{lost: host.Spec.Lost, draining: host.IsDraining()}
}

// ofDoomedHost are all LoadBalancers, once a host is declared lost or is being drained,
// and once it is no more.
func (r *Reconciler) ofDoomedHost(ctx context.Context, obj client.Object) []reconcile.Request {
	if fateOf(obj) == (fate{}) {
		return nil
	}
	return r.matching(ctx)
}
