package loadbalancer

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch

// hostOf is the host that has the VM, or is to have it, or "".
func hostOf(vm *capstanv1.VirtualMachine) string {
	if vm.Status.Host != "" {
		return vm.Status.Host
	}
	return vm.Place().Host
}

func isLost(obj client.Object) bool {
	host, ok := obj.(*capstanv1.HyperVHost)
	return ok && host.Spec.Lost
}

// ofLostHost are all LoadBalancers, once a host is declared lost.
func (r *Reconciler) ofLostHost(ctx context.Context, obj client.Object) []reconcile.Request {
	if !isLost(obj) {
		return nil
	}
	return r.matching(ctx)
}
