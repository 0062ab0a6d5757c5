package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// reservationsOf returns the reservations in a network, as the cache has them. They
// must not be changed: a copy of thousands for each claim would cost more than all
// the rest.
func reservationsOf(ctx context.Context, cache client.Reader, network string) ([]capstanv1.AddressReservation, error) {
	list := &capstanv1.AddressReservationList{}
	err := cache.List(ctx, list, client.MatchingFields{networkIndex: network}, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)})
	if err != nil {
		return nil, fmt.Errorf("listing the AddressReservations of LogicalNetwork %s: %w", network, err)
	}
	return list.Items, nil
}

// holdersIn returns the UID of the claim that holds each address of a network, as the
// cache has it.
func holdersIn(ctx context.Context, cache client.Reader, network string) (map[netip.Addr]types.UID, error) {
	reservations, err := reservationsOf(ctx, cache, network)
	if err != nil {
		return nil, err
	}
	holders := make(map[netip.Addr]types.UID, len(reservations))
	for i := range reservations {
		spec := &reservations[i].Spec
		if address, err := netip.ParseAddr(spec.Address); err == nil {
			holders[address] = types.UID(spec.ClaimRef.UID)
		}
	}
	return holders, nil
}

// recent are addresses that were reserved, or are about to be, and that the cache
// may not show yet, with the UIDs of their claims. Without it, claims that come at
// once would all try the same address. It is safe for concurrent use.
type recent struct {
	mu      sync.Mutex
	holders map[string]map[netip.Addr]types.UID
}

// drop forgets an address that a claim did not get, or has no more.
func (r *recent) drop(network string, address netip.Addr, claim types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holders[network][address] == claim {
		delete(r.holders[network], address)
	}
}

// held is who holds the addresses of a network: as the cache shows it, and as is kept
// for those whom it does not show.
type held struct {
	shown, kept map[netip.Addr]types.UID
	claims      map[types.UID]bool
}

func (h *held) isTaken(a netip.Addr) bool {
	_, isShown := h.shown[a]
	return isShown || h.isKept(a)
}

// isKept tells whether somebody is about to reserve an address, or has a moment ago.
func (h *held) isKept(a netip.Addr) bool {
	_, isKept := h.kept[a]
	return isKept
}

// serves tells whether a claim holds an address.
func (h *held) serves(claim types.UID) bool {
	if h.claims == nil {
		h.claims = make(map[types.UID]bool, len(h.shown)+len(h.kept))
		for _, of := range []map[netip.Addr]types.UID{h.shown, h.kept} {
			for _, holder := range of {
				h.claims[holder] = true
			}
		}
	}
	return h.claims[claim]
}

// choose returns the address that a claim reserved already, or else keeps for it the
// one that pick chooses. The cache is read under the lock: what a newer reading made
// somebody forget, an older one would still show free.
func (r *recent) choose(network string, claim types.UID, cached func() (map[netip.Addr]types.UID, error), pick func(*held) (netip.Addr, error)) (address netip.Addr, reserved bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	shown, err := cached()
	if err != nil {
		return netip.Addr{}, false, err
	}
	for address, holder := range shown {
		delete(r.holders[network], address)
		if holder == claim {
			return address, true, nil
		}
	}
	for address, holder := range r.holders[network] {
		if holder == claim {
			return address, true, nil
		}
	}
	address, err = pick(&held{shown: shown, kept: r.holders[network]})
	if err == nil {
		r.keep(network, address, claim)
	}
	return address, false, err
}

func (r *recent) keep(network string, address netip.Addr, claim types.UID) {
	if r.holders == nil {
		r.holders = map[string]map[netip.Addr]types.UID{}
	}
	if r.holders[network] == nil {
		r.holders[network] = map[netip.Addr]types.UID{}
	}
	r.holders[network][address] = claim
}
