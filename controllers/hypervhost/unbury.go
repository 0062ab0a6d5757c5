package hypervhost

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// release removes a tombstone that is honoured, and tells whether it could. With
// it goes what keeps its addresses reserved.
func (r *Reconciler) release(ctx context.Context, t *capstanv1.Tombstone) (released bool, err error) {
	// Whoever gives an address back leaves it to us until this is written, and frees it
	// afterwards: between the two it would be freed by nobody.
	if err := r.setHonoured(ctx, t); err != nil {
		return false, err
	}
	if free, err := r.freeAddresses(ctx, t); err != nil || !free {
		return false, err
	}
	before := t.DeepCopy()
	if controllerutil.RemoveFinalizer(t, capstanv1.TombstoneFinalizer) {
		if err := r.Client.Patch(ctx, t, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("removing the finalizer from Tombstone %s: %w", t.Name, err)
		}
	}
	if err := r.Client.Delete(ctx, t, client.Preconditions{UID: &t.UID}); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting Tombstone %s: %w", t.Name, err)
	}
	return true, nil
}

func (r *Reconciler) setHonoured(ctx context.Context, t *capstanv1.Tombstone) error {
	if t.IsHonoured() {
		return nil
	}
	before := t.DeepCopy()
	metav1.SetMetaDataAnnotation(&t.ObjectMeta, capstanv1.HonouredAnnotation, "true")
	if err := r.Client.Patch(ctx, t, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("marking Tombstone %s as honoured: %w", t.Name, err)
	}
	return nil
}

// freeAddresses frees what stayed reserved for the buried VM alone, and tells
// whether all of it is free. As long as the VM's own claim stands, the tombstone
// must: whoever releases the claim leaves the address of a buried VM to us, and
// nobody would free it if we were gone by then.
func (r *Reconciler) freeAddresses(ctx context.Context, t *capstanv1.Tombstone) (free bool, err error) {
	tombstones := &capstanv1.TombstoneList{}
	if err := r.Live.List(ctx, tombstones); err != nil {
		return false, fmt.Errorf("listing Tombstones: %w", err)
	}
	for _, a := range t.Spec.Addresses {
		name, err := addresspool.ReservationNameOf(a.LogicalNetwork, a.Address)
		if err != nil {
			return false, fmt.Errorf("address of Tombstone %s: %w", t.Name, err)
		}
		reservation := &capstanv1.AddressReservation{}
		err = r.Live.Get(ctx, client.ObjectKey{Name: name}, reservation)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("reading the AddressReservation of %s: %w", a.Address, err)
		}
		claim := &ipamv1.IPAddressClaim{}
		ref := reservation.Spec.ClaimRef
		err = r.Live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, claim)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("reading IPAddressClaim %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		stands, mine := err == nil && string(claim.UID) == ref.UID, isClaimOf(claim, t.Spec.VMRef)
		switch {
		case stands && mine && claim.DeletionTimestamp.IsZero():
			return false, nil
		case stands && !mine && (claim.DeletionTimestamp.IsZero() || isHeld(claim)):
			// It is a VIP of those that are left, or was freed before and is somebody else's
			// now: the end of that claim frees it.
			continue
		case slices.ContainsFunc(tombstones.Items, func(other capstanv1.Tombstone) bool { return other.Name != t.Name && other.Holds(a) }):
			// A VIP that another buried VM may hold: who is honoured last frees it.
			continue
		}
		if err := r.Client.Delete(ctx, reservation, client.Preconditions{UID: &reservation.UID, ResourceVersion: &reservation.ResourceVersion}); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("freeing %s: %w", reservation.Name, err)
		}
	}
	return true, nil
}

func isClaimOf(claim *ipamv1.IPAddressClaim, vm capstanv1.VMReference) bool {
	return claim.Namespace == vm.Namespace && slices.ContainsFunc(claim.OwnerReferences, func(ref metav1.OwnerReference) bool {
		return ref.Kind == "VirtualMachine" && ref.Name == vm.Name
	})
}

// isHeld tells whether a VM, or a load balancer, keeps the address of a claim.
func isHeld(claim *ipamv1.IPAddressClaim) bool {
	return controllerutil.ContainsFinalizer(claim, capstanv1.VirtualMachineFinalizer) ||
		controllerutil.ContainsFinalizer(claim, capstanv1.LoadBalancerFinalizer)
}
