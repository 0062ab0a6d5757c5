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

// contestedVRIDError says that the virtual router ID that VMs speak by is somebody else's.
type contestedVRIDError struct {
	network string
	id      int32
	by      capstanv1.ClaimReference
}

// Error implements error.
func (e *contestedVRIDError) Error() string {
	return fmt.Sprintf("virtual router ID %d of LogicalNetwork %s, by which the virtual machines hold the VIP, is reserved for IPAddressClaim %s/%s; "+
		"they keep it, and it is reserved for them as soon as that one gives it back", e.id, e.network, e.by.Namespace, e.by.Name)
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
	if lb.Status.VRID != 0 {
		return r.keepVRID(ctx, lb, claim)
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

// keepVRID returns the virtual router ID by which VMs speak already. It may have passed to
// this claim a moment ago, if the one before went by force, or passes on now: nobody else
// does that where another provider answers the claim. VMs get their plans one by one, so
// that with another ID two of them would hold the VIP: rather than that it is kept though
// somebody else has it, which the error says.
func (r *Reconciler) keepVRID(ctx context.Context, lb *capstanv1.LoadBalancer, claim *ipamv1.IPAddressClaim) (int32, error) {
	if id, err := r.heldVRID(ctx, claim); id != 0 || err != nil {
		return id, err
	}
	id := lb.Status.VRID
	name := addresspool.VirtualRouterReservationName(lb.Spec.LogicalNetwork, id)
	if passed, err := ipam.PassOn(ctx, r.Client, r.Live, claim, name); err != nil {
		return 0, err
	} else if passed {
		return id, nil
	}
	if mine, err := r.tryVRID(ctx, lb, claim, id); err != nil {
		return 0, err
	} else if mine {
		return id, nil
	}
	holder := &capstanv1.AddressReservation{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, holder); err != nil {
		return 0, fmt.Errorf("reading AddressReservation %s: %w", name, err)
	}
	// What a Tombstone of one of its own VMs holds is not passed on, and is nobody else's.
	if user := holder.Spec.UserRef; user != nil && user.UID == string(lb.UID) {
		return id, nil
	}
	return id, &contestedVRIDError{network: lb.Spec.LogicalNetwork, id: id, by: holder.Spec.ClaimRef}
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
