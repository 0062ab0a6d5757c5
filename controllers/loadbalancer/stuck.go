package loadbalancer

import (
	"context"
	"slices"
	"sync"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// isStuck tells a VM whose deletion waits for a host that does not answer, and may do
// so for as long as the host is gone, or for a person who has moved it, from one that is
// about to go.
func isStuck(vm *capstanv1.VirtualMachine) bool {
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	return !vm.DeletionTimestamp.IsZero() && ready != nil &&
		slices.Contains([]string{capstanv1.ReasonHostUnreachable, capstanv1.ReasonMovedElsewhere}, ready.Reason) &&
		ready.ObservedGeneration >= vm.Generation
}

// meetStuck asks VMs whose deletion waits for a host that does not answer whether they
// are there. The others are asked with their plans, or have nothing to say any more.
func (r *Reconciler) meetStuck(ctx context.Context, s *scope) {
	var all sync.WaitGroup
	for _, i := range s.instances {
		if i.status == nil && isStuck(i.vm) && agentAddress(i.vm) != "" {
			all.Go(func() { r.meet(ctx, i) })
		}
	}
	all.Wait()
}
