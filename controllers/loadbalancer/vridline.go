package loadbalancer

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// takenVRIDs are the virtual router IDs of a network that are held, as the cache has
// them.
type takenVRIDs struct {
	ids map[int32]bool
	// left tells whether there is one for a LoadBalancer when all that have waited longer
	// have theirs.
	left bool
}

func (r *Reconciler) takenVRIDs(ctx context.Context, lb *capstanv1.LoadBalancer) (takenVRIDs, error) {
	taken := takenVRIDs{ids: map[int32]bool{}}
	reservations := &capstanv1.AddressReservationList{}
	if err := r.Client.List(ctx, reservations, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return taken, fmt.Errorf("listing AddressReservations: %w", err)
	}
	holders := map[string]bool{}
	for i := range reservations.Items {
		spec := &reservations.Items[i].Spec
		if id, ok := addresspool.ParseVirtualRouter(spec.Address); ok && spec.LogicalNetwork == lb.Spec.LogicalNetwork {
			taken.ids[id], holders[spec.ClaimRef.UID] = true, true
		}
	}
	all := &capstanv1.LoadBalancerList{}
	if err := r.Client.List(ctx, all, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return taken, fmt.Errorf("listing LoadBalancers: %w", err)
	}
	free := maxVRID - len(taken.ids)
	for i := range all.Items {
		other := &all.Items[i]
		if other.Spec.LogicalNetwork != lb.Spec.LogicalNetwork || other.Status.VRID != 0 || !isOlder(other, lb) {
			continue
		}
		waits, err := r.waitsForVRID(ctx, other, holders)
		if err != nil {
			return taken, err
		}
		if waits {
			free--
		}
	}
	taken.left = free > 0
	return taken, nil
}

// waitsForVRID tells whether a LoadBalancer has its VIP, and takes a virtual router ID
// as soon as there is one.
func (r *Reconciler) waitsForVRID(ctx context.Context, lb *capstanv1.LoadBalancer, holders map[string]bool) (bool, error) {
	if !lb.DeletionTimestamp.IsZero() || annotations.HasPaused(lb) {
		return false, nil
	}
	claim := &ipamv1.IPAddressClaim{}
	if err := r.Client.Get(ctx, vipClaimKey(lb), claim); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return claim.Status.AddressRef.Name != "" && !holders[string(claim.UID)], nil
}

// isOlder orders LoadBalancers by how long they have waited. Of those of one second,
// which is all that the API server tells, names decide.
func isOlder(a, b *capstanv1.LoadBalancer) bool {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
	) < 0
}
