package ipam

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// abandonedGrace is how long a reservation has neither a claim nor a user before it is
// freed. Whoever takes a claim's finalizers away by hand may be about to do the same to
// its VM, which hosts are then swept for.
const abandonedGrace = 10 * time.Minute

// abandoned remembers since when reservations have had no claim and no user. A manager that is
// started anew waits anew. It is safe for concurrent use.
type abandoned struct {
	mu    sync.Mutex
	since map[string]map[types.UID]time.Time
}

// note returns how long each of some reservations of a network has had neither, and
// forgets the others.
func (a *abandoned) note(network string, idle []reserved, now time.Time) map[types.UID]time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ages := map[types.UID]time.Time{}, map[types.UID]time.Duration{}
	for _, h := range idle {
		began, known := a.since[network][h.UID]
		if !known {
			began = now
		}
		since[h.UID], ages[h.UID] = began, now.Sub(began)
	}
	if a.since == nil {
		a.since = map[string]map[types.UID]time.Time{}
	}
	a.since[network] = since
	if len(since) == 0 {
		delete(a.since, network)
	}
	return ages
}

// freeAbandoned frees what is held for claims that are gone: whose finalizers somebody
// took away, or that a manager served from a cache that was long out of date. It
// returns when there may be more to free, 0 for never. What a Tombstone holds is freed
// with that, and what a VM or load balancer may still use is not.
func (r *NetworkReconciler) freeAbandoned(ctx context.Context, network *capstanv1.LogicalNetwork, held []reserved) (again time.Duration, err error) {
	var idle []reserved
	for _, h := range held {
		if h.claimed {
			continue
		}
		used, err := r.isUsed(ctx, r.Client, h.AddressReservation)
		if err != nil {
			return 0, err
		}
		if used {
			again = soonest(again, abandonedGrace)
			continue
		}
		idle = append(idle, h)
	}
	ages := r.abandoned.note(network.Name, idle, r.Clock.Now())
	for _, h := range idle {
		if left := abandonedGrace - ages[h.UID]; left > 0 {
			again = soonest(again, left)
			continue
		}
		used, err := r.isUsed(ctx, r.Live, h.AddressReservation)
		if err != nil {
			return 0, err
		}
		if used {
			again = soonest(again, abandonedGrace)
			continue
		}
		if err := r.freeOne(ctx, network, h.AddressReservation); err != nil {
			return 0, err
		}
	}
	return again, nil
}

func soonest(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func (r *NetworkReconciler) freeOne(ctx context.Context, network *capstanv1.LogicalNetwork, reservation *capstanv1.AddressReservation) error {
	uid := reservation.UID
	gone := &capstanv1.AddressReservation{}
	gone.Name = reservation.Name
	if err := r.Client.Delete(ctx, gone, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("freeing %s: %w", reservation.Name, err)
	}
	ref := reservation.Spec.ClaimRef
	ctrllog.FromContext(ctx).Info("Abandoned address freed", "address", reservation.Spec.Address, "claim", ref.Namespace+"/"+ref.Name)
	r.Events.Eventf(network, nil, corev1.EventTypeWarning, "AbandonedAddressFreed", "Free",
		"%s was held for IPAddressClaim %s/%s, which is gone, and for nothing that runs", reservation.Spec.Address, ref.Namespace, ref.Name)
	return nil
}

// isUsed tells whether there may be a user of what is held for a claim: the claim itself,
// the VM or load balancer that it is named after, or a VM that only its host knows of.
func (r *NetworkReconciler) isUsed(ctx context.Context, reader client.Reader, reservation *capstanv1.AddressReservation) (bool, error) {
	tombstones := &capstanv1.TombstoneList{}
	if err := reader.List(ctx, tombstones); err != nil {
		return true, fmt.Errorf("listing Tombstones: %w", err)
	}
	ref := &reservation.Spec.ClaimRef
	if buried(tombstones.Items, reservation) {
		return true, nil
	}
	for _, mayBe := range []func(context.Context, client.Reader, *capstanv1.ClaimReference) (bool, error){isThere, isNamedAfter, mayRun} {
		if used, err := mayBe(ctx, reader, ref); err != nil || used {
			return true, err
		}
	}
	return false, nil
}

// isNamedAfter tells whether the VM or load balancer is there that a claim is named after.
func isNamedAfter(ctx context.Context, reader client.Reader, claim *capstanv1.ClaimReference) (bool, error) {
	for _, users := range []client.ObjectList{&capstanv1.VirtualMachineList{}, &capstanv1.LoadBalancerList{}} {
		if err := reader.List(ctx, users, client.InNamespace(claim.Namespace)); err != nil {
			return true, fmt.Errorf("listing %T of namespace %s: %w", users, claim.Namespace, err)
		}
		named := false
		// It fails only for what is no list.
		_ = meta.EachListItem(users, func(user runtime.Object) error {
			obj, ok := user.(client.Object)
			named = named || ok && strings.HasPrefix(claim.Name, obj.GetName()+"-")
			return nil
		})
		if named {
			return true, nil
		}
	}
	return false, nil
}
