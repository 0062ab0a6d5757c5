package loadbalancer

import (
	"context"
	"fmt"
	"hash/fnv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// maxVRID is the highest virtual router ID of VRRP.
const maxVRID = 255

// noVRIDError says that all virtual router IDs are taken.
type noVRIDError struct{ network string }

// Error implements error.
func (e *noVRIDError) Error() string {
	return fmt.Sprintf("LogicalNetwork %s is full: all %d virtual router IDs are taken; use another network or delete a load balancer", e.network, maxVRID)
}

// vridOf returns the virtual router ID of the VIP, and reserves one if it has
// none. The ID is as much a property of the network as an address is, and is
// held the same way: by an AddressReservation for the VIP's claim, whose name the
// API server lets exist once, and which goes with the claim, or with the last Tombstone
// of a VM that may still speak for it.
func (r *Reconciler) vridOf(ctx context.Context, lb *capstanv1.LoadBalancer, claim *ipamv1.IPAddressClaim) (int32, error) {
	held := &capstanv1.AddressReservationList{}
	if err := r.Client.List(ctx, held, client.MatchingFields{claimIndex: string(claim.UID)}); err != nil {
		return 0, fmt.Errorf("listing the AddressReservations of IPAddressClaim %s: %w", client.ObjectKeyFromObject(claim), err)
	}
	if id := vridIn(held.Items); id != 0 {
		return id, nil
	}
	// One that has had an ID has it still: it may have passed to this claim a moment ago,
	// if the one before went by force.
	if lb.Status.VRID != 0 {
		if id, err := r.heldVRID(ctx, claim); id != 0 || err != nil {
			return id, err
		}
	}
	taken, err := r.takenVRIDs(ctx, lb)
	if err != nil {
		return 0, err
	}
	// What the cache does not show yet is met by its name: the search begins where it
	// began before.
	first := firstVRID(claim) + 1
	if taken.left {
		if mine, err := r.tryVRID(ctx, lb, claim, first); mine || err != nil {
			return first, err
		}
	}
	// Or it went on, and what came of that stands in the API server.
	if id, err := r.heldVRID(ctx, claim); id != 0 || err != nil {
		return id, err
	}
	for i := range int32(maxVRID) {
		id := (first+i)%maxVRID + 1
		if taken.ids[id] || !taken.left {
			continue
		}
		mine, err := r.tryVRID(ctx, lb, claim, id)
		if mine || err != nil {
			return id, err
		}
	}
	return 0, &noVRIDError{network: lb.Spec.LogicalNetwork}
}

// heldVRID returns the virtual router ID that a claim holds, past the cache, or 0.
func (r *Reconciler) heldVRID(ctx context.Context, claim *ipamv1.IPAddressClaim) (int32, error) {
	held := &capstanv1.AddressReservationList{}
	if err := r.Live.List(ctx, held, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)}); err != nil {
		return 0, fmt.Errorf("listing the AddressReservations of IPAddressClaim %s: %w", client.ObjectKeyFromObject(claim), err)
	}
	return vridIn(held.Items), nil
}

func vridIn(held []capstanv1.AddressReservation) int32 {
	for i := range held {
		if id, ok := addresspool.ParseVirtualRouter(held[i].Spec.Address); ok {
			return id
		}
	}
	return 0
}

func (r *Reconciler) tryVRID(ctx context.Context, lb *capstanv1.LoadBalancer, claim *ipamv1.IPAddressClaim, id int32) (mine bool, err error) {
	reservation := vridReservation(lb, claim, id)
	err = r.Client.Create(ctx, reservation, client.FieldOwner(capstanv1.FieldOwner))
	if err == nil {
		return true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("reserving virtual router ID %d in LogicalNetwork %s: %w", id, lb.Spec.LogicalNetwork, err)
	}
	holder := &capstanv1.AddressReservation{}
	key := client.ObjectKeyFromObject(reservation)
	// Past the cache, which may show who held it before: one that was reserved in an
	// earlier round would be passed over, and another one be reserved as well.
	err = r.Live.Get(ctx, key, holder)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading AddressReservation %s: %w", reservation.Name, err)
	}
	return err == nil && holder.Spec.ClaimRef.UID == string(claim.UID), nil
}

// firstVRID spreads the IDs: another installation, or another product, on the same
// link most likely counts from 1.
func firstVRID(claim *ipamv1.IPAddressClaim) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(claim.UID))
	return int32(h.Sum32() % maxVRID)
}

func vridReservation(lb *capstanv1.LoadBalancer, claim *ipamv1.IPAddressClaim, id int32) *capstanv1.AddressReservation {
	network := lb.Spec.LogicalNetwork
	return ipam.NewReservation(claim, network, addresspool.VirtualRouterReservationName(network, id), addresspool.VirtualRouter(id))
}
