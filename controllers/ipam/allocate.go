package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// networkMissingError says that the LogicalNetwork is not there.
type networkMissingError struct{ name string }

// Error implements error.
func (e *networkMissingError) Error() string {
	return fmt.Sprintf("LogicalNetwork %s does not exist: make it, or name another", e.name)
}

// fullError says that a range has no free address.
type fullError struct {
	network string
	use     addresspool.Use
	total   int64
}

// Error implements error.
func (e *fullError) Error() string {
	return fmt.Sprintf("LogicalNetwork %s is full: all %d addresses of its %s are taken; widen spec.subnets[0].%s or free some",
		e.network, e.total, fieldOf(e.use), fieldOf(e.use))
}

// sharedError says that somebody deleted the reservation of an address in use, and
// that it was given a second time.
type sharedError struct {
	address     netip.Addr
	reservation string
}

// Error implements error.
func (e *sharedError) Error() string {
	return fmt.Sprintf("%s was given to somebody else, too, after AddressReservation %s of this claim was deleted: delete one of the two machines", e.address, e.reservation)
}

// outOfRangeError says that what a claim asks for is none of its range's addresses.
type outOfRangeError struct {
	requested string
	network   string
	use       addresspool.Use
}

// Error implements error.
func (e *outOfRangeError) Error() string {
	return fmt.Sprintf("%.64q is not one of the %s that LogicalNetwork %s gives out: ask for another, or widen spec.subnets[0].%s",
		e.requested, nounOf(e.use), e.network, fieldOf(e.use))
}

// takenError says that somebody has the address that a claim asks for.
type takenError struct {
	address netip.Addr
	network string
}

// Error implements error.
func (e *takenError) Error() string {
	return fmt.Sprintf("%s of LogicalNetwork %s is taken: ask for another, or free it", e.address, e.network)
}

func fieldOf(use addresspool.Use) string {
	if use == addresspool.VIPs {
		return "vipRanges"
	}
	return "nodeRanges"
}

func nounOf(use addresspool.Use) string {
	if use == addresspool.VIPs {
		return "virtual addresses"
	}
	return "addresses for nodes"
}

// invalidPoolError says that the network's ranges make no sense.
type invalidPoolError struct{ cause error }

// Error implements error.
func (e *invalidPoolError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *invalidPoolError) Unwrap() error { return e.cause }

// allocate gives the claim an address: the one it has, or a free one. What was
// done before a crash is found again by the claim's UID.
func (r *ClaimReconciler) allocate(ctx context.Context, claim *ipamv1.IPAddressClaim) (*ipamv1.IPAddress, error) {
	existing := &ipamv1.IPAddress{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(claim), existing)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading IPAddress %s: %w", claim.Name, err)
	}
	// One that an earlier claim of this name left in the cache is not this claim's,
	// and its address may be somebody else's by now.
	if err == nil && metav1.IsControlledBy(existing, claim) && existing.DeletionTimestamp.IsZero() {
		return existing, r.keepReserved(ctx, claim, existing)
	}
	network, err := NetworkOf(ctx, r.Client, r.Live, claim.Spec.PoolRef.Name)
	if err != nil {
		return nil, err
	}
	if network == nil {
		return nil, &networkMissingError{claim.Spec.PoolRef.Name}
	}
	if from := addresspool.From(&network.Spec, useOf(claim)); from != nil {
		return nil, &invalidPoolError{fmt.Errorf("LogicalNetwork %s gives out no %s: %s %s of %s does", network.Name, nounOf(useOf(claim)), from.Kind, from.Name, from.APIGroup)}
	}
	pool, err := addresspool.New(&network.Spec, useOf(claim))
	if err != nil {
		return nil, &invalidPoolError{fmt.Errorf("LogicalNetwork %s: %w", network.Name, err)}
	}
	reserved, err := r.inherit(ctx, claim, network.Name, pool)
	if err == nil && !reserved.IsValid() {
		reserved, err = r.reserve(ctx, claim, network.Name, pool)
	}
	if err != nil {
		return nil, err
	}
	return r.publish(ctx, claim, network, pool, reserved)
}

// keepReserved reserves the address of a claim anew after somebody deleted its
// reservation: nothing else keeps the address from being given again.
func (r *ClaimReconciler) keepReserved(ctx context.Context, claim *ipamv1.IPAddressClaim, published *ipamv1.IPAddress) error {
	address, err := netip.ParseAddr(published.Spec.Address)
	if err != nil {
		return fmt.Errorf("reading the address of IPAddress %s: %w", published.Name, err)
	}
	network := claim.Spec.PoolRef.Name
	reservation := &capstanv1.AddressReservation{}
	name := addresspool.ReservationName(network, address)
	err = r.Client.Get(ctx, client.ObjectKey{Name: name}, reservation)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading AddressReservation %s: %w", name, err)
	}
	if err == nil && reservation.Spec.ClaimRef.UID == string(claim.UID) {
		return nil
	}
	// The cache may show the claim still, and not what was freed with it.
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(claim), claim.DeepCopy()); err != nil {
		return client.IgnoreNotFound(err)
	}
	mine, err := r.tryReserve(ctx, claim, network, address)
	if err == nil && !mine {
		mine, err = r.takeBack(ctx, claim, network, name)
	}
	if err == nil && !mine {
		err = &sharedError{address: address, reservation: name}
	}
	return err
}

func useOf(claim *ipamv1.IPAddressClaim) addresspool.Use {
	if use := claim.Annotations[capstanv1.AddressRangeAnnotation]; use != "" {
		return addresspool.Use(use)
	}
	return addresspool.Nodes
}

// publish makes the IPAddress that the claim's maker reads. It needs no finalizer:
// one that is deleted by accident is made again from the reservation.
func (r *ClaimReconciler) publish(ctx context.Context, claim *ipamv1.IPAddressClaim, network *capstanv1.LogicalNetwork, pool *addresspool.Pool, address netip.Addr) (*ipamv1.IPAddress, error) {
	published := &ipamv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.Name,
			Labels: map[string]string{clusterv1.ClusterNameLabel: claim.Spec.ClusterName},
		},
		Spec: ipamv1.IPAddressSpec{
			ClaimRef: ipamv1.IPAddressClaimReference{Name: claim.Name},
			PoolRef:  claim.Spec.PoolRef,
			Address:  address.String(),
			Prefix:   ptr.To(int32(pool.PrefixLength())),
		},
	}
	if gateway := pool.Gateway(); gateway.IsValid() {
		published.Spec.Gateway = gateway.String()
	}
	if err := controllerutil.SetControllerReference(claim, published, r.Client.Scheme()); err != nil {
		return nil, fmt.Errorf("owning IPAddress %s: %w", claim.Name, err)
	}
	if err := controllerutil.SetOwnerReference(network, published, r.Client.Scheme(), controllerutil.WithBlockOwnerDeletion(true)); err != nil {
		return nil, fmt.Errorf("making IPAddress %s belong to its network: %w", claim.Name, err)
	}
	err := r.Client.Create(ctx, published, client.FieldOwner(capstanv1.FieldOwner))
	if apierrors.IsAlreadyExists(err) {
		existing := &ipamv1.IPAddress{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(published), existing); err != nil {
			return nil, fmt.Errorf("reading IPAddress %s: %w", claim.Name, err)
		}
		cleared, err := r.clearLeft(ctx, claim, network, existing)
		switch {
		case err != nil:
			return nil, err
		case cleared:
			return r.publish(ctx, claim, network, pool, address)
		}
		if !metav1.IsControlledBy(existing, claim) {
			return nil, fmt.Errorf("IPAddress %s/%s exists for another claim: waiting for it to go", claim.Namespace, claim.Name)
		}
		return existing, nil
	}
	if err != nil {
		return nil, fmt.Errorf("publishing IPAddress %s: %w", claim.Name, err)
	}
	return published, nil
}

// clearLeft deletes the IPAddress that an earlier claim of the same name left behind, and
// tells whether that made room. It bears the network as its second owner, so that it stays
// when its claim went by force. Whoever asks must have the claim that is there now.
func (r *ClaimReconciler) clearLeft(ctx context.Context, claim *ipamv1.IPAddressClaim, network *capstanv1.LogicalNetwork, left *ipamv1.IPAddress) (cleared bool, err error) {
	ours := slices.ContainsFunc(left.OwnerReferences, func(ref metav1.OwnerReference) bool { return ref.UID == network.UID })
	if !ours || metav1.IsControlledBy(left, claim) || left.Spec.ClaimRef.Name != claim.Name || !left.DeletionTimestamp.IsZero() || len(left.Finalizers) > 0 {
		return false, nil
	}
	now := &ipamv1.IPAddressClaim{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(claim), now); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading IPAddressClaim %s: %w", claim.Name, err)
	}
	if now.UID != claim.UID {
		return false, nil
	}
	uid := left.UID
	if err := r.Client.Delete(ctx, left, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting IPAddress %s of an earlier claim: %w", left.Name, err)
	}
	return true, nil
}
