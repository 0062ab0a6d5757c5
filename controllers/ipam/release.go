package ipam

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// release takes the address of a deleted claim back, once its VM is confirmed to
// be gone, or buried: until then the VM, or the load balancer, holds on to the
// claim, whoever deleted it.
// The address of a buried VM stays reserved until its Tombstone is honoured: the
// VM may still be using it. Of another provider's claim only what is held beside the
// address is freed, a virtual router ID.
func (r *ClaimReconciler) release(ctx context.Context, claim *ipamv1.IPAddressClaim) error {
	if !controllerutil.ContainsFinalizer(claim, capstanv1.IPAddressClaimFinalizer) {
		return nil
	}
	for _, holder := range []string{capstanv1.VirtualMachineFinalizer, capstanv1.LoadBalancerFinalizer} {
		if controllerutil.ContainsFinalizer(claim, holder) {
			return nil
		}
	}
	if isOurs(claim) {
		if err := r.withdraw(ctx, claim); err != nil {
			return err
		}
	}
	if err := r.free(ctx, claim); err != nil {
		return err
	}
	before := claim.DeepCopy()
	controllerutil.RemoveFinalizer(claim, capstanv1.IPAddressClaimFinalizer)
	if err := r.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from IPAddressClaim %s: %w", claim.Name, err)
	}
	return nil
}

// withdraw deletes the IPAddress of a claim.
func (r *ClaimReconciler) withdraw(ctx context.Context, claim *ipamv1.IPAddressClaim) error {
	address := &ipamv1.IPAddress{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(claim), address)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(address, claim) {
		// The cache may show nothing yet, or what an earlier claim of this name had.
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(claim), address)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading IPAddress %s: %w", claim.Name, err)
	}
	if err == nil && metav1.IsControlledBy(address, claim) && address.DeletionTimestamp.IsZero() {
		if err := r.Client.Delete(ctx, address); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting IPAddress %s: %w", claim.Name, err)
		}
	}
	return nil
}

// freeIfGone frees what was reserved for a claim that nobody will release: the cache
// shows it still, and the API server did not take its status.
func (r *ClaimReconciler) freeIfGone(ctx context.Context, claim *ipamv1.IPAddressClaim) error {
	is := &ipamv1.IPAddressClaim{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(claim), is)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading IPAddressClaim %s: %w", claim.Name, err)
	}
	if is.UID == claim.UID && (is.DeletionTimestamp.IsZero() || controllerutil.ContainsFinalizer(is, capstanv1.IPAddressClaimFinalizer)) {
		return nil
	}
	return r.free(ctx, claim)
}

// free deletes the claim's reservations. They are read past the cache: one that it
// has not seen yet would be leaked, and one whose Tombstone it has not seen yet,
// written a moment ago by whoever deletes the claim, would be given to somebody else
// while the buried VM may still use the address.
func (r *ClaimReconciler) free(ctx context.Context, claim *ipamv1.IPAddressClaim) error {
	reservations := &capstanv1.AddressReservationList{}
	if err := r.Live.List(ctx, reservations, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)}); err != nil {
		return fmt.Errorf("listing AddressReservations: %w", err)
	}
	tombstones := &capstanv1.TombstoneList{}
	if err := r.Live.List(ctx, tombstones); err != nil {
		return fmt.Errorf("listing Tombstones: %w", err)
	}
	for i := range reservations.Items {
		reservation := &reservations.Items[i]
		if reservation.Spec.ClaimRef.UID != string(claim.UID) || buried(tombstones.Items, reservation) {
			continue
		}
		uid, version := reservation.UID, reservation.ResourceVersion
		if err := r.Client.Delete(ctx, reservation, client.Preconditions{UID: &uid, ResourceVersion: &version}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("freeing %s: %w", reservation.Name, err)
		}
	}
	return nil
}

func buried(tombstones []capstanv1.Tombstone, reservation *capstanv1.AddressReservation) bool {
	for i := range tombstones {
		if tombstones[i].Holds(capstanv1.ReservedAddress{LogicalNetwork: reservation.Spec.LogicalNetwork, Address: reservation.Spec.Address}) {
			return true
		}
	}
	return false
}
