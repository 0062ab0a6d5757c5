package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// networkIndex finds the AddressReservations of a LogicalNetwork.
const networkIndex = "spec.logicalNetwork"

func indexReservations(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &capstanv1.AddressReservation{}, networkIndex, func(obj client.Object) []string {
		if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
			return []string{reservation.Spec.LogicalNetwork}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing AddressReservations by network: %w", err)
	}
	return nil
}

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

// recent are addresses that were reserved, or are about to be, and that the cache
// may not show yet, with the UIDs of their claims. Without it, claims that come at
// once would all try the same address. It is safe for concurrent use.
type recent struct {
	mu      sync.Mutex
	holders map[string]map[netip.Addr]types.UID
}

// take claims an address for whoever asks first.
func (r *recent) take(network string, address netip.Addr, claim types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if holder, held := r.holders[network][address]; held {
		return holder == claim
	}
	if r.holders == nil {
		r.holders = map[string]map[netip.Addr]types.UID{}
	}
	if r.holders[network] == nil {
		r.holders[network] = map[netip.Addr]types.UID{}
	}
	r.holders[network][address] = claim
	return true
}

// drop forgets an address that was not reserved, or is free again.
func (r *recent) drop(network string, address netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.holders[network], address)
}

// of returns what was reserved for a claim, having forgotten what the cache shows by
// now.
func (r *recent) of(network string, claim types.UID, shown map[netip.Addr]bool) (netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for address, holder := range r.holders[network] {
		switch {
		case shown[address]:
			delete(r.holders[network], address)
		case holder == claim:
			return address, true
		}
	}
	return netip.Addr{}, false
}
