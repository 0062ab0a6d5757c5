package virtualmachine

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// virtualAddressesOf returns the virtual addresses of the LoadBalancer that a VM is of,
// any of which it may hold as long as it runs, and the virtual router ID by which it
// speaks for them. They come after its own addresses, by the first of which its peers
// know it.
func (r *Reconciler) virtualAddressesOf(ctx context.Context, vm *capstanv1.VirtualMachine) ([]capstanv1.ReservedAddress, error) {
	name, owner := vm.Labels[capstanv1.LoadBalancerLabel], metav1.GetControllerOf(vm)
	if name == "" || owner == nil {
		return nil, nil
	}
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Live.List(ctx, claims, client.InNamespace(vm.Namespace), client.MatchingLabels{capstanv1.LoadBalancerLabel: name}); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s/%s: %w", vm.Namespace, name, err)
	}
	// Its VIPs are of its own network, whoever gives them out.
	network := vm.Spec.Networks[0].LogicalNetwork
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
			virtual = append(virtual, capstanv1.ReservedAddress{LogicalNetwork: network, Address: address})
		}
		if claim.Labels[capstanv1.ServiceVIPLabel] != "" {
			// All VIPs of a network have one router, which is that of the API server's.
			continue
		}
		held, err := r.reservationsOf(ctx, claim)
		if err != nil {
			return nil, err
		}
		for _, spec := range held {
			if _, ok := addresspool.ParseVirtualRouter(spec.Address); ok {
				virtual = append(virtual, capstanv1.ReservedAddress{LogicalNetwork: spec.LogicalNetwork, Address: spec.Address})
			}
		}
	}
	return virtual, nil
}

// reservationsOf returns what is held for a claim.
func (r *Reconciler) reservationsOf(ctx context.Context, claim *ipamv1.IPAddressClaim) ([]capstanv1.AddressReservationSpec, error) {
	list := &capstanv1.AddressReservationList{}
	if err := r.Live.List(ctx, list, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)}); err != nil {
		return nil, fmt.Errorf("listing the AddressReservations of IPAddressClaim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	var held []capstanv1.AddressReservationSpec
	for i := range list.Items {
		if spec := list.Items[i].Spec; spec.ClaimRef.UID == string(claim.UID) {
			held = append(held, spec)
		}
	}
	return held, nil
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
	if given := claim.Status.AddressRef.Name; given != "" && given != key.Name {
		// Another provider names its IPAddresses as it likes.
		if err := r.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: given}, address); client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("reading IPAddress %s: %w", given, err)
		}
		return address.Spec.Address, nil
	}
	held, err := r.reservationsOf(ctx, claim)
	if err != nil {
		return "", err
	}
	for _, spec := range held {
		if _, err := netip.ParseAddr(spec.Address); err == nil {
			return spec.Address, nil
		}
	}
	return "", nil
}
