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

// abandonedGrace is how long a reservation has no claim before it is freed. Whoever
// takes a claim's finalizers away by hand may be about to do the same to its VM.
const abandonedGrace = 10 * time.Minute

// abandoned remembers since when reservations have had no claim. A manager that is
// started anew waits anew. It is safe for concurrent use.
type abandoned struct {
	mu    sync.Mutex
	since map[string]map[types.UID]time.Time
}

// note returns how long each reservation of a network has had no claim, and forgets the
// others.
func (a *abandoned) note(network string, held []reserved, now time.Time) map[types.UID]time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ages := map[types.UID]time.Time{}, map[types.UID]time.Duration{}
	for _, h := range held {
		if h.claimed {
			continue
		}
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
	ages := r.abandoned.note(network.Name, held, r.Clock.Now())
	var tombstones *capstanv1.TombstoneList
	for _, h := range held {
		age, isAbandoned := ages[h.UID]
		if !isAbandoned {
			continue
		}
		if left := abandonedGrace - age; left > 0 {
			again = soonest(again, left)
			continue
		}
		if tombstones == nil {
			tombstones = &capstanv1.TombstoneList{}
			if err := r.Live.List(ctx, tombstones); err != nil {
				return 0, fmt.Errorf("listing Tombstones: %w", err)
			}
		}
		used := buried(tombstones.Items, h.AddressReservation)
		if !used {
			if used, err = r.isUsed(ctx, &h.Spec.ClaimRef); err != nil {
				return 0, err
			}
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

// isUsed tells whether there may be a user of what is held for a claim, read past the
// cache: the claim itself, or the VM or load balancer that it is named after.
func (r *NetworkReconciler) isUsed(ctx context.Context, ref *capstanv1.ClaimReference) (bool, error) {
	if stands, err := isThere(ctx, r.Live, ref); err != nil || stands {
		return true, err
	}
	for _, users := range []client.ObjectList{&capstanv1.VirtualMachineList{}, &capstanv1.LoadBalancerList{}} {
		if err := r.Live.List(ctx, users, client.InNamespace(ref.Namespace)); err != nil {
			return true, fmt.Errorf("listing %T of namespace %s: %w", users, ref.Namespace, err)
		}
		named := false
		// It fails only for what is no list.
		_ = meta.EachListItem(users, func(user runtime.Object) error {
			obj, ok := user.(client.Object)
			named = named || ok && strings.HasPrefix(ref.Name, obj.GetName()+"-")
			return nil
		})
		if named {
			return true, nil
		}
	}
	return false, nil
}
