package virtualmachine

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// virtualAddressesOf returns the virtual addresses of the LoadBalancer that a VM is of:
// it may hold any of them as long as it runs. They come after its own addresses, by the
// first of which its peers know it.
func (r *Reconciler) virtualAddressesOf(ctx context.Context, vm *capstanv1.VirtualMachine) ([]capstanv1.ReservedAddress, error) {
	name, owner := vm.Labels[capstanv1.LoadBalancerLabel], metav1.GetControllerOf(vm)
	if name == "" || owner == nil {
		return nil, nil
	}
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Live.List(ctx, claims, client.InNamespace(vm.Namespace), client.MatchingLabels{capstanv1.LoadBalancerLabel: name}); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s/%s: %w", vm.Namespace, name, err)
	}
	var virtual []capstanv1.ReservedAddress
	for i := range claims.Items {
		claim := &claims.Items[i]
		if holder := metav1.GetControllerOf(claim); holder == nil || holder.UID != owner.UID {
			continue
		}
		address, err := r.addressOf(ctx, client.ObjectKeyFromObject(claim))
		if err != nil {
			return nil, err
		}
		if address != "" {
			virtual = append(virtual, capstanv1.ReservedAddress{LogicalNetwork: claim.Spec.PoolRef.Name, Address: address})
		}
	}
	return virtual, nil
}

// addressOf returns the address that a claim was given, or "" if it has none any
// more. Where the namespace goes, the IPAddress is gone at once; what counts is the
// reservation, which is in no namespace.
func (r *Reconciler) addressOf(ctx context.Context, key client.ObjectKey) (string, error) {
	address := &ipamv1.IPAddress{}
	err := r.Live.Get(ctx, key, address)
	if err == nil {
		return address.Spec.Address, nil
	}
	if !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("reading IPAddress %s: %w", key, err)
	}
	claim := &ipamv1.IPAddressClaim{}
	switch err := r.Live.Get(ctx, key, claim); {
	case apierrors.IsNotFound(err):
		// The tombstone was written before, and the claim let go after it.
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading IPAddressClaim %s: %w", key, err)
	}
	held := &capstanv1.AddressReservationList{}
	if err := r.Live.List(ctx, held, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)}); err != nil {
		return "", fmt.Errorf("listing the AddressReservations of IPAddressClaim %s: %w", key, err)
	}
	for i := range held.Items {
		if spec := &held.Items[i].Spec; spec.ClaimRef.UID == string(claim.UID) && spec.LogicalNetwork == claim.Spec.PoolRef.Name {
			return spec.Address, nil
		}
	}
	return "", nil
}
