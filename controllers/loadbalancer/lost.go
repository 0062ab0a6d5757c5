package loadbalancer

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch

// isHostLost tells whether a host that had the VM is declared lost, and no other
// host has it or may turn out to have it: another node of a failover cluster takes
// VMs over.
func isHostLost(vm *capstanv1.VirtualMachine, hosts []capstanv1.HyperVHost) bool {
	place := placeOf(vm)
	lost := false
	for i := range hosts {
		host := &hosts[i]
		switch {
		case host.SpeaksFor(place.FailoverCluster, place.Host):
			if !host.Spec.Lost {
				return false
			}
			lost = true
		case place.FailoverCluster != "" && !host.Spec.Lost && host.Status.Memory == nil:
			return false
		}
	}
	return lost
}

// placeOf is where a VM is, or is to be.
func placeOf(vm *capstanv1.VirtualMachine) capstanv1.Placement {
	if vm.Spec.Placement != nil {
		return *vm.Spec.Placement
	}
	return capstanv1.Placement{Host: vm.Status.Host}
}

// hostOf is the host that has the VM, or is to have it, or "".
func hostOf(vm *capstanv1.VirtualMachine) string {
	if vm.Status.Host != "" {
		return vm.Status.Host
	}
	return placeOf(vm).Host
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
