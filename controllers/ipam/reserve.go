package ipam

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// reserve makes the reservation that is the allocation. The cache, and what was
// reserved a moment ago, only say where to begin: an address that is taken without
// their knowledge is refused by the API server.
func (r *ClaimReconciler) reserve(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool) (netip.Addr, error) {
	requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]
	refused := map[netip.Addr]bool{}
	first := func(taken func(netip.Addr) bool) (free netip.Addr) {
		if asks {
			return netip.Addr{}
		}
		pool.Free(func(a netip.Addr) bool { return refused[a] || taken(a) }, func(a netip.Addr) bool {
			free = a
			return false
		})
		return free
	}
	for {
		address, reserved, err := r.recent.choose(network, claim.UID, func() (map[netip.Addr]types.UID, error) {
			return holdersIn(ctx, r.Client, network)
		}, first)
		switch {
		case err != nil || reserved:
			return address, err
		case asks:
			return r.reserveRequested(ctx, claim, network, pool, requested)
		case !address.IsValid():
			return netip.Addr{}, &fullError{network: network, use: useOf(claim), total: pool.Count()}
		}
		mine, err := r.tryReserve(ctx, claim, network, address)
		if mine {
			return address, nil
		}
		r.recent.drop(network, address, claim.UID)
		if err != nil {
			return netip.Addr{}, err
		}
		refused[address] = true
	}
}

// reserveRequested reserves the one address that the claim asks for. That the cache
// shows it taken is no answer: what freed it may be on its way.
func (r *ClaimReconciler) reserveRequested(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool, requested string) (netip.Addr, error) {
	address, err := netip.ParseAddr(requested)
	if err != nil || !pool.Contains(address) {
		return netip.Addr{}, &outOfRangeError{requested: requested, network: network, use: useOf(claim)}
	}
	taken := &takenError{address: address, network: network}
	if !r.recent.take(network, address, claim.UID) {
		return netip.Addr{}, taken
	}
	mine, err := r.tryReserve(ctx, claim, network, address)
	if mine {
		return address, nil
	}
	r.recent.drop(network, address, claim.UID)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.Addr{}, taken
}

func (r *ClaimReconciler) tryReserve(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, address netip.Addr) (mine bool, err error) {
	reservation := &capstanv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{
			Name:   addresspool.ReservationName(network, address),
			Labels: map[string]string{clusterv1.ClusterNameLabel: claim.Spec.ClusterName, capstanv1.ClaimLabel: string(claim.UID)},
		},
		Spec: capstanv1.AddressReservationSpec{
			LogicalNetwork: network,
			Address:        address.String(),
			ClaimRef:       capstanv1.ClaimReference{Namespace: claim.Namespace, Name: claim.Name, UID: string(claim.UID)},
		},
	}
	err = r.Client.Create(ctx, reservation, client.FieldOwner(capstanv1.FieldOwner))
	if err == nil {
		return true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("reserving %s in LogicalNetwork %s: %w", address, network, err)
	}
	holder := &capstanv1.AddressReservation{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(reservation), holder); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading AddressReservation %s: %w", reservation.Name, err)
	}
	return holder.Spec.ClaimRef.UID == string(claim.UID), nil
}
