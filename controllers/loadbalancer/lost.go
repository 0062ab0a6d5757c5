package loadbalancer

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch

// isDead tells a VM that is known to never come back: its host is declared lost,
// or its host says that the VM is gone and its seed is spent. One that merely does
// not answer is not among them.
func isDead(vm *capstanv1.VirtualMachine, lost map[string]bool) bool {
	if !vm.DeletionTimestamp.IsZero() {
		return false
	}
	if lost[hostOf(vm)] {
		return true
	}
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	return vm.Spec.RetireSeed && ready != nil && ready.Status != metav1.ConditionTrue && ready.Reason == capstanv1.ReasonVMNotFound
}

// lostHosts returns the hosts that are declared lost and whose VMs no other node
// of a failover cluster can have taken over.
func (r *Reconciler) lostHosts(ctx context.Context) (map[string]bool, error) {
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	lost := map[string]bool{}
	for i := range hosts.Items {
		if isLost(&hosts.Items[i]) {
			lost[hosts.Items[i].Name] = true
		}
	}
	return lost, nil
}

func isLost(obj client.Object) bool {
	host, ok := obj.(*capstanv1.HyperVHost)
	return ok && host.Spec.Lost && host.Status.FailoverCluster == ""
}

// hostOf is where a VM is, or is to be, or "".
func hostOf(vm *capstanv1.VirtualMachine) string {
	if vm.Status.Host == "" && vm.Spec.Placement != nil {
		return vm.Spec.Placement.Host
	}
	return vm.Status.Host
}

// ofLostHost are all LoadBalancers, once a host is declared lost.
func (r *Reconciler) ofLostHost(ctx context.Context, obj client.Object) []reconcile.Request {
	if !isLost(obj) {
		return nil
	}
	return r.matching(ctx)
}
