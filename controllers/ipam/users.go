package ipam

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// nameUsers writes down whom something is held for where an earlier version did not. As
// long as the claim is there it tells, and nothing does once that went by force.
func (r *NetworkReconciler) nameUsers(ctx context.Context, held []reserved) error {
	for _, h := range held {
		if h.Spec.UserRef != nil || h.claim == nil {
			continue
		}
		user := madeFor(h.claim)
		if user == nil {
			continue
		}
		named := h.AddressReservation.DeepCopy()
		named.Spec.UserRef = user
		patch := client.MergeFromWithOptions(h.AddressReservation, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Patch(ctx, named, patch, client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("writing whom AddressReservation %s is for: %w", h.Name, err)
		}
	}
	return nil
}

// takeBack makes the reservation of the address that a claim has published that of the
// claim, and tells whether it did, if it is that of an earlier claim of its name: claim and
// user were made again from a backup, or came back from another management cluster, and
// nothing is the same but their names. That the claim has the address published tells this
// from a later user of that name, who would have been given another one.
func (r *ClaimReconciler) takeBack(ctx context.Context, claim *ipamv1.IPAddressClaim, network, name string) (mine bool, err error) {
	holder := &capstanv1.AddressReservation{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, holder); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading AddressReservation %s: %w", name, err)
	}
	earlier := holder.Spec.ClaimRef.UID
	isNamesake := func(claim *ipamv1.IPAddressClaim, spec *capstanv1.AddressReservationSpec) bool {
		user, its := madeFor(claim), spec.UserRef
		return comesAfter(claim, &spec.ClaimRef) && spec.ClaimRef.UID == earlier &&
			user != nil && its != nil && its.Kind == user.Kind && its.Name == user.Name && its.VMID == user.VMID
	}
	if !isNamesake(claim, &holder.Spec) {
		return false, nil
	}
	reservations, err := reservationsOf(ctx, r.Client, network)
	if err != nil {
		return false, err
	}
	// The address comes last: once it is the claim's, nobody looks for the rest.
	for i := range reservations {
		if _, isRouter := addresspool.ParseVirtualRouter(reservations[i].Spec.Address); isRouter && isNamesake(claim, &reservations[i].Spec) {
			if _, err := passTo(ctx, r.Client, r.Live, claim, reservations[i].Name, isNamesake); err != nil {
				return false, err
			}
		}
	}
	return passTo(ctx, r.Client, r.Live, claim, name, isNamesake)
}
