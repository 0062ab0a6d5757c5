package ipam

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// inherit gives a claim what an earlier one of its name held for the same user, and went by
// force: the user has it still, and would be given something else beside it. It returns the
// address, which is not valid if there is none.
func (r *ClaimReconciler) inherit(ctx context.Context, claim *ipamv1.IPAddressClaim, network string, pool *addresspool.Pool) (inherited netip.Addr, err error) {
	if madeFor(claim) == nil {
		return netip.Addr{}, nil
	}
	reservations, err := reservationsOf(ctx, r.Client, network)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := range reservations {
		spec := &reservations[i].Spec
		if !isHeir(claim, spec) {
			continue
		}
		address, _ := netip.ParseAddr(spec.Address)
		if requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]; address.IsValid() &&
			(inherited.IsValid() || !pool.Contains(address) || asks && requested != spec.Address) {
			continue
		}
		passed, err := r.passOn(ctx, claim, reservations[i].Name)
		if err != nil {
			return netip.Addr{}, err
		}
		if passed && address.IsValid() {
			inherited = address
		}
	}
	return inherited, nil
}

// isHeir tells whether a claim comes after the one that something is held for, and was made
// for the same user: the very object, or one of the same VM that was made again from a
// backup, or came back from another management cluster.
func isHeir(claim *ipamv1.IPAddressClaim, spec *capstanv1.AddressReservationSpec) bool {
	user, its := madeFor(claim), spec.UserRef
	if !comesAfter(claim, &spec.ClaimRef) || user == nil || its == nil || its.Kind != user.Kind {
		return false
	}
	return its.UID == user.UID || its.VMID != "" && its.VMID == user.VMID
}

// comesAfter tells whether a claim has the name of another one, which is gone if this one
// is there.
func comesAfter(claim *ipamv1.IPAddressClaim, of *capstanv1.ClaimReference) bool {
	return of.Namespace == claim.Namespace && of.Name == claim.Name && of.UID != string(claim.UID)
}

func (r *ClaimReconciler) passOn(ctx context.Context, claim *ipamv1.IPAddressClaim, name string) (passed bool, err error) {
	return PassOn(ctx, r.Client, r.Live, claim, name)
}

// PassOn makes a reservation that of a claim, and tells whether it did. It does if the
// reservation is for the user that the claim was made for, and that of an earlier claim of
// its name. There is one claim of a name at a time, so that the earlier one is gone if this
// one is there. What a Tombstone holds is not passed on.
func PassOn(ctx context.Context, c client.Client, live client.Reader, claim *ipamv1.IPAddressClaim, name string) (passed bool, err error) {
	return passTo(ctx, c, live, claim, name, isHeir)
}

// passTo makes a reservation that of a claim if that is its heir.
func passTo(ctx context.Context, c client.Client, live client.Reader, claim *ipamv1.IPAddressClaim, name string,
	isHeir func(*ipamv1.IPAddressClaim, *capstanv1.AddressReservationSpec) bool,
) (passed bool, err error) {
	now, reservation := &ipamv1.IPAddressClaim{}, &capstanv1.AddressReservation{}
	if err := live.Get(ctx, client.ObjectKeyFromObject(claim), now); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading IPAddressClaim %s: %w", claim.Name, err)
	}
	switch err := live.Get(ctx, client.ObjectKey{Name: name}, reservation); {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading AddressReservation %s: %w", name, err)
	}
	if now.UID != claim.UID || !now.DeletionTimestamp.IsZero() {
		return false, nil
	}
	if reservation.Spec.ClaimRef.UID == string(claim.UID) {
		// It was passed on a moment ago, and the cache does not show that yet.
		return true, nil
	}
	if !isHeir(claim, &reservation.Spec) {
		return false, nil
	}
	if tombstone, err := Buried(ctx, live, reservation.Spec.LogicalNetwork, reservation.Spec.Address); err != nil || tombstone != "" {
		return false, err
	}
	before := reservation.DeepCopy()
	reservation.Spec.ClaimRef.UID, reservation.Spec.UserRef.UID = string(claim.UID), madeFor(claim).UID
	metav1.SetMetaDataLabel(&reservation.ObjectMeta, capstanv1.ClaimLabel, string(claim.UID))
	if err := c.Patch(ctx, reservation, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner)); err != nil {
		return false, fmt.Errorf("passing AddressReservation %s on to the claim that came after its own: %w", name, err)
	}
	ctrllog.FromContext(ctx).Info("Address passed on to a later claim of the same user", "address", reservation.Spec.Address)
	return true, nil
}
