package ipam

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// reserve makes the reservation that is the allocation. The cache, and what was
// reserved a moment ago, only say where to begin: an address that is taken without
// their knowledge is refused by the API server.
func (r *ClaimReconciler) reserve(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool) (netip.Addr, error) {
	refused := map[netip.Addr]bool{}
	for {
		address, reserved, err := r.recent.choose(network, claim.UID, func() (map[netip.Addr]types.UID, error) {
			return holdersIn(ctx, r.Client, network)
		}, func(held *held) (netip.Addr, error) {
			return r.pick(ctx, claim, network, pool, held, refused)
		})
		if err != nil || reserved {
			return address, err
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

// pick says which address a claim may try to reserve.
func (r *ClaimReconciler) pick(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool, held *held, refused map[netip.Addr]bool) (netip.Addr, error) {
	older, err := r.olderThan(ctx, claim, network, held)
	if err != nil {
		return netip.Addr{}, err
	}
	choose := anyOf(claim, network, pool, held, refused)
	if requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]; asks {
		address, err := netip.ParseAddr(requested)
		if err != nil || !pool.Contains(address) {
			return netip.Addr{}, &outOfRangeError{requested: requested, network: network, use: useOf(claim)}
		}
		choose = certain(address, network, pool, held, refused)
	}
	address, err := choose(turnAfter(older))
	if err == nil {
		return address, nil
	}
	// Those who stand still have nothing left to them. They are only looked for where
	// it matters.
	moving := older[:0:0]
	for _, other := range older {
		stands, err := r.paused(ctx, other)
		if err != nil {
			return netip.Addr{}, err
		}
		if !stands {
			moving = append(moving, other)
		}
	}
	return choose(turnAfter(moving))
}

type chooser func(turn) (netip.Addr, error)

func anyOf(claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool, held *held, refused map[netip.Addr]bool) chooser {
	return func(t turn) (netip.Addr, error) {
		address := t.first(pool, func(a netip.Addr) bool { return refused[a] || held.isTaken(a) })
		if !address.IsValid() {
			return netip.Addr{}, &fullError{network: network, use: useOf(claim), total: pool.Count()}
		}
		return address, nil
	}
}

// certain chooses the one address that a claim asks for. That the cache shows it taken
// is no answer: what freed it may be on its way.
func certain(address netip.Addr, network string, pool *addresspool.Pool, held *held, refused map[netip.Addr]bool) chooser {
	return func(t turn) (netip.Addr, error) {
		if refused[address] || held.isKept(address) || !t.leaves(address, pool, held.isTaken) {
			return netip.Addr{}, &takenError{address: address, network: network}
		}
		return address, nil
	}
}

// olderThan returns those who have waited longer than a claim for what it waits for.
func (r *ClaimReconciler) olderThan(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, held *held) ([]*ipamv1.IPAddressClaim, error) {
	waiting, err := inLine(ctx, r.Client, network, useOf(claim), held.serves)
	if err != nil {
		return nil, err
	}
	for i, other := range waiting {
		if other.UID == claim.UID || byAge(claim, other) <= 0 {
			return waiting[:i], nil
		}
	}
	return waiting, nil
}

func (r *ClaimReconciler) tryReserve(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, address netip.Addr) (mine bool, err error) {
	reservation := NewReservation(claim, network, addresspool.ReservationName(network, address), address.String())
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
