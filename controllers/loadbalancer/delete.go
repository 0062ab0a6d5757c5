package loadbalancer

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// delete takes everything away: the VMs first, since as long as one may run it
// may hold the VIP; then the claim, and with it VIP and virtual router ID.
func (r *Reconciler) delete(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.lb, capstanv1.LoadBalancerFinalizer) {
		return nil
	}
	var err error
	if s.vms, err = r.vmsOf(ctx, r.Live, s.lb); err != nil {
		return err
	}
	if err := r.releaseAll(ctx, s.lb); err != nil {
		return err
	}
	// Nobody is given a plan any more.
	r.agents.keepOnly(client.ObjectKeyFromObject(s.lb), nil)
	for i := range s.vms {
		if err := r.forget(ctx, &s.vms[i]); err != nil {
			return err
		}
	}
	if len(s.vms) > 0 {
		names := make([]string, len(s.vms))
		for i := range s.vms {
			names[i] = s.vms[i].Name
		}
		s.left = "waiting for virtual machines to go: " + strings.Join(names, ", ")
		return nil
	}
	gone, err := r.releaseVIP(ctx, s.lb)
	if err != nil {
		return err
	}
	// Last, since whoever looks after Services may have made one a moment ago.
	servicesGone, err := r.releaseServiceVIPs(ctx, s.lb)
	if err != nil {
		return err
	}
	if !gone || !servicesGone {
		s.left = "waiting for the VIP to be released"
		return nil
	}
	before := s.lb.DeepCopy()
	controllerutil.RemoveFinalizer(s.lb, capstanv1.LoadBalancerFinalizer)
	if err := r.Client.Patch(ctx, s.lb, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from LoadBalancer %s: %w", s.lb.Name, err)
	}
	return nil
}

// forget deletes a VM, and before it what is kept for it: once the VM is gone,
// nobody knows the names.
func (r *Reconciler) forget(ctx context.Context, vm *capstanv1.VirtualMachine) error {
	if err := r.Pins.Forget(ctx, trust.Instance(vm)); err != nil {
		return err
	}
	if _, err := r.applier.Delete(ctx, vm, &corev1.Secret{}, bootstrapSecretKey(vm)); err != nil {
		return err
	}
	return r.deleteVM(ctx, vm)
}
