package orphan

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const eventReleased = "AddressReleased"

// releaseClaims lets go of addresses that nobody else will let go of: a claim is held
// until its VM is confirmed to be gone, and where the VirtualMachine went without that,
// there is nobody left to confirm it. All hosts have to have answered, and none may hold
// a VM that could be the one.
func (r *Reconciler) releaseClaims(ctx context.Context, s *sweep, known *known) error {
	if r.Policy.Removal == RemoveNothing {
		return nil
	}
	owners, all := s.owners()
	if !all {
		return nil
	}
	// The cache is good enough to find those that are looked at: what it does not show yet
	// is found by the next sweep.
	list := &ipamv1.IPAddressClaimList{}
	if err := r.Client.List(ctx, list); err != nil {
		return fmt.Errorf("listing IPAddressClaims: %w", err)
	}
	var failed error
	for i := range list.Items {
		owner := r.abandoned(&list.Items[i], known)
		if owner != nil && !owners[list.Items[i].Namespace+"/"+owner.Name] {
			failed = errors.Join(failed, r.releaseClaim(ctx, client.ObjectKeyFromObject(&list.Items[i]), known))
		}
	}
	return failed
}

// owners are the VirtualMachines of all VMs that the hosts hold, as namespace and name.
// It tells whether that is known of all.
func (s *sweep) owners() (owners map[string]bool, all bool) {
	owners = map[string]bool{}
	for _, p := range s.places {
		if !judged(p) {
			return nil, false
		}
		for i := range p.VMs {
			vm := &p.VMs[i]
			if vm.Owner == "" && s.foundAt[vm.Stamp.ID] {
				return nil, false
			}
			owners[vm.Owner] = true
		}
	}
	return owners, true
}

// abandoned returns the VirtualMachine that a claim was made for, if it went longer than
// a grace period ago and the claim is still held in its name.
func (r *Reconciler) abandoned(claim *ipamv1.IPAddressClaim, known *known) *metav1.OwnerReference {
	owner := metav1.GetControllerOf(claim)
	switch {
	case claim.DeletionTimestamp.IsZero() || !controllerutil.ContainsFinalizer(claim, capstanv1.VirtualMachineFinalizer):
		return nil
	case owner == nil || owner.Kind != "VirtualMachine" || known.ids[hostapi.VMID(owner.UID)]:
		return nil
	case r.Clock.Now().Before(claim.DeletionTimestamp.Add(r.Policy.Grace)):
		return nil
	}
	return owner
}

func (r *Reconciler) releaseClaim(ctx context.Context, key client.ObjectKey, known *known) error {
	claim := &ipamv1.IPAddressClaim{}
	switch err := r.Live.Get(ctx, key, claim); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading IPAddressClaim %s: %w", key, err)
	case r.abandoned(claim, known) == nil:
		return nil
	}
	before := claim.DeepCopy()
	controllerutil.RemoveFinalizer(claim, capstanv1.VirtualMachineFinalizer)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, claim, patch, client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from IPAddressClaim %s: %w", key, err)
	}
	r.Events.Eventf(before, nil, corev1.EventTypeNormal, eventReleased, "Sweep",
		"VirtualMachine %s went without giving its address back, and no host holds its VM any more", metav1.GetControllerOf(before).Name)
	return nil
}
