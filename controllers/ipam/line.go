package ipam

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// isInLine tells whether a claim waits for an address that somebody else may have to
// leave to it. One that fails for a reason of its own would keep an address from
// everybody for as long as it fails.
func isInLine(claim *ipamv1.IPAddressClaim) bool {
	if !isOurs(claim) || claim.Status.AddressRef.Name != "" || !claim.DeletionTimestamp.IsZero() || annotations.HasPaused(claim) {
		return false
	}
	ready := conditions.Get(claim, ipamv1.IPAddressClaimReadyCondition)
	if ready == nil {
		return true
	}
	switch ready.Reason {
	case capstanv1.ReasonInternalError, capstanv1.ReasonDeleting, capstanv1.ReasonConflict, capstanv1.ReasonAddressOutOfRange:
		return false
	default:
		return true
	}
}

// byAge orders claims by how long they have waited. Of those of one second, which is
// all that the API server tells, names decide.
func byAge(a, b *ipamv1.IPAddressClaim) int {
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// inLine returns the claims that wait for a use of a network's addresses, but for those
// that hold one already, the oldest first. They must not be changed.
func inLine(ctx context.Context, cache client.Reader, network string, use addresspool.Use, holds func(types.UID) bool) ([]*ipamv1.IPAddressClaim, error) {
	list := &ipamv1.IPAddressClaimList{}
	if err := cache.List(ctx, list, client.MatchingFields{waitingIndex: network}, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LogicalNetwork %s: %w", network, err)
	}
	var waiting []*ipamv1.IPAddressClaim
	for i := range list.Items {
		if claim := &list.Items[i]; isInLine(claim) && useOf(claim) == use && !holds(claim.UID) {
			waiting = append(waiting, claim)
		}
	}
	slices.SortFunc(waiting, byAge)
	return waiting, nil
}

// turn is what is left to those who have waited longer than a claim.
type turn struct {
	// ahead is how many of them are content with any address.
	ahead int
	// wanted are the addresses that the others ask for.
	wanted map[netip.Addr]bool
}

func turnAfter(older []*ipamv1.IPAddressClaim) turn {
	t := turn{wanted: map[netip.Addr]bool{}}
	for _, claim := range older {
		requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]
		if !asks {
			t.ahead++
		} else if address, err := netip.ParseAddr(requested); err == nil {
			t.wanted[address] = true
		}
	}
	return t
}

// first returns the first free address of a pool if there is one for everybody ahead,
// too, else none.
func (t turn) first(pool *addresspool.Pool, taken func(netip.Addr) bool) (first netip.Addr) {
	left := t.ahead
	pool.Free(func(a netip.Addr) bool { return t.wanted[a] || taken(a) }, func(a netip.Addr) bool {
		if !first.IsValid() {
			first = a
		}
		left--
		return left >= 0
	})
	if left >= 0 {
		return netip.Addr{}
	}
	return first
}

// leaves tells whether an address may go to who asks for it: nobody asked for it before,
// and there are others for everybody ahead.
func (t turn) leaves(address netip.Addr, pool *addresspool.Pool, taken func(netip.Addr) bool) bool {
	if t.wanted[address] {
		return false
	}
	return t.ahead == 0 || turn{ahead: t.ahead - 1, wanted: t.wanted}.first(pool, func(a netip.Addr) bool { return a == address || taken(a) }).IsValid()
}

// next returns those who may get one of a network's free addresses: as many of the
// claims that wait longest as there are addresses, and those that ask for one of
// them. With thousands waiting, one address that comes free is one claim's news.
func (r *ClaimReconciler) next(ctx context.Context, network string) []reconcile.Request {
	of := &capstanv1.LogicalNetwork{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: network}, of); err != nil {
		return nil
	}
	holders, err := holdersIn(ctx, r.Client, network)
	if err != nil {
		return nil
	}
	served := make(map[types.UID]bool, len(holders))
	for _, uid := range holders {
		served[uid] = true
	}
	var requests []reconcile.Request
	for _, use := range []addresspool.Use{addresspool.Nodes, addresspool.VIPs} {
		pool, err := addresspool.New(&of.Spec, use)
		if err != nil {
			continue
		}
		waiting, err := inLine(ctx, r.Client, network, use, func(uid types.UID) bool { return served[uid] })
		if err != nil {
			return nil
		}
		for _, claim := range r.served(ctx, waiting, pool, holders) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
		}
	}
	return requests
}

// served returns those of a line that there are addresses for.
func (r *ClaimReconciler) served(ctx context.Context, waiting []*ipamv1.IPAddressClaim, pool *addresspool.Pool, holders map[netip.Addr]types.UID) []*ipamv1.IPAddressClaim {
	free := 0
	pool.Free(func(a netip.Addr) bool { return holders[a] != "" }, func(netip.Addr) bool {
		free++
		return free < len(waiting)
	})
	if free == 0 {
		return nil
	}
	var chosen []*ipamv1.IPAddressClaim
	for _, claim := range waiting {
		requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]
		if asks {
			if address, err := netip.ParseAddr(requested); err != nil || holders[address] == "" {
				chosen = append(chosen, claim)
			}
			continue
		}
		if free == 0 {
			continue
		}
		// One that stands still takes none, and keeps nobody waiting.
		if stands, err := r.paused(ctx, claim); err == nil && !stands {
			chosen = append(chosen, claim)
			free--
		}
	}
	return chosen
}

// leftTheLine lets through that a claim waits no more without having an address, so
// that what was left to it is for others.
func leftTheLine() predicate.Predicate {
	left := func(obj any) bool {
		claim, ok := obj.(*ipamv1.IPAddressClaim)
		return ok && isInLine(claim)
	}
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
		DeleteFunc:  func(e event.DeleteEvent) bool { return left(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			is, ok := e.ObjectNew.(*ipamv1.IPAddressClaim)
			return ok && left(e.ObjectOld) && !isInLine(is) && is.Status.AddressRef.Name == ""
		},
	}
}
