package ipam

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// reserved is a reservation, and its claim if that is there.
type reserved struct {
	*capstanv1.AddressReservation
	claim *ipamv1.IPAddressClaim
}

// heldIn returns what is reserved in a network, as the cache has it. It must not be
// changed.
func (r *NetworkReconciler) heldIn(ctx context.Context, network string) ([]reserved, error) {
	reservations, err := reservationsOf(ctx, r.Client, network)
	if err != nil {
		return nil, err
	}
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Client.List(ctx, claims, client.MatchingFields{poolIndex: network}, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LogicalNetwork %s: %w", network, err)
	}
	there := make(map[types.UID]*ipamv1.IPAddressClaim, len(claims.Items))
	for i := range claims.Items {
		there[claims.Items[i].UID] = &claims.Items[i]
	}
	held := make([]reserved, 0, len(reservations))
	for i := range reservations {
		ref := &reservations[i].Spec.ClaimRef
		claim := there[types.UID(ref.UID)]
		if claim == nil {
			// A virtual router ID may be held for a claim of another provider's pool.
			if claim, err = claimOf(ctx, r.Client, ref); err != nil {
				return nil, err
			}
		}
		held = append(held, reserved{&reservations[i], claim})
	}
	return held, nil
}

// claimOf returns the very claim that a reservation is for, nil if it is gone.
func claimOf(ctx context.Context, reader client.Reader, ref *capstanv1.ClaimReference) (*ipamv1.IPAddressClaim, error) {
	claim := &ipamv1.IPAddressClaim{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, claim); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading IPAddressClaim %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	if string(claim.UID) != ref.UID {
		return nil, nil
	}
	return claim, nil
}

// count tells of the addresses that the pool may give out now. One that lies in no
// range any more is nobody's to have, and what another provider gives out is not counted.
func count(network *capstanv1.LogicalNetwork, use addresspool.Use, pool *addresspool.Pool, held []reserved) *capstanv1.AddressCounts {
	if addresspool.From(&network.Spec, use) != nil {
		return nil
	}
	counts := &capstanv1.AddressCounts{Total: pool.Count()}
	for _, h := range held {
		address, err := netip.ParseAddr(h.Spec.Address)
		switch {
		case err != nil || !pool.Contains(address):
		case h.claim != nil:
			counts.Used++
		default:
			counts.Reserved++
		}
	}
	counts.Free = counts.Total - counts.Used - counts.Reserved
	return counts
}

// usersOf are the clusters that hold most addresses, the greatest first. What is reserved
// although its claim is gone counts as theirs.
func usersOf(vips *addresspool.Pool, held []reserved) []capstanv1.NetworkUser {
	type cluster struct{ namespace, name string }
	of := map[cluster]*capstanv1.NetworkUser{}
	for _, h := range held {
		address, err := netip.ParseAddr(h.Spec.Address)
		if err != nil {
			continue
		}
		key := cluster{h.Spec.ClaimRef.Namespace, h.Labels[clusterv1.ClusterNameLabel]}
		if of[key] == nil {
			of[key] = &capstanv1.NetworkUser{Namespace: key.namespace, ClusterName: key.name}
		}
		if vips.Contains(address) {
			of[key].VirtualAddresses++
		} else {
			of[key].Addresses++
		}
	}
	users := make([]capstanv1.NetworkUser, 0, len(of))
	for _, user := range of {
		users = append(users, *user)
	}
	slices.SortFunc(users, func(a, b capstanv1.NetworkUser) int {
		return cmp.Or(
			cmp.Compare(b.Addresses+b.VirtualAddresses, a.Addresses+a.VirtualAddresses), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ClusterName, b.ClusterName),
		)
	})
	return users[:min(len(users), capstanv1.MostNetworkUsers)]
}
