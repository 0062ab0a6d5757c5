package ipam

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

const (
	// abandonedGrace is how long a reservation has neither a claim nor a user before it is
	// freed. Whoever takes a claim's finalizers away by hand may be about to do the same to
	// its VM.
	abandonedGrace = 10 * time.Minute
	// oldestCensus is how old it may be what hosts said when an address is freed. It is
	// less than abandonedGrace, so that they said it when nobody used the address any more.
	oldestCensus = time.Minute
	// askHostsAgain is when hosts are asked again of which one did not answer, or has
	// something that may use an address.
	askHostsAgain = 5 * time.Minute
	// askHostsSoon is when they are asked again while somebody else asks them.
	askHostsSoon = 2 * time.Second
)

// vigil is since when a reservation has had no claim and no user, when hosts were asked of
// it last, and what that came to.
type vigil struct {
	since, asked time.Time
	reason       capstanv1.UnclaimedReason
	message      string
}

// abandoned remembers the reservations that have no claim and no user. A manager that is
// started anew waits anew. It is safe for concurrent use; the vigils of one network are
// looked at by one at a time.
type abandoned struct {
	mu sync.Mutex
	of map[string]map[types.UID]*vigil
}

// note returns the vigils of some reservations of a network, and forgets the others.
func (a *abandoned) note(network string, idle []types.UID, now time.Time) map[types.UID]*vigil {
	a.mu.Lock()
	defer a.mu.Unlock()
	vigils := make(map[types.UID]*vigil, len(idle))
	for _, uid := range idle {
		if vigils[uid] = a.of[network][uid]; vigils[uid] == nil {
			vigils[uid] = &vigil{since: now, reason: capstanv1.UnclaimedGracePeriod, message: fmt.Sprintf(
				"hosts are asked what they hold when nobody has been known to use it for %.0f min", abandonedGrace.Minutes())}
		}
	}
	if a.of == nil {
		a.of = map[string]map[types.UID]*vigil{}
	}
	a.of[network] = vigils
	if len(vigils) == 0 {
		delete(a.of, network)
	}
	return vigils
}

// reclaim frees what is held for claims that are gone: whose finalizers somebody took
// away, or that a manager served from a cache that was long out of date. What a Tombstone
// holds is freed with that, and what somebody may still use is not. It returns what stays
// held, and when there may be more to free, 0 for never.
func (r *NetworkReconciler) reclaim(ctx context.Context, network *capstanv1.LogicalNetwork, held []reserved) (left []*hold, again time.Duration, err error) {
	now := r.Clock.Now()
	for _, h := range held {
		if h.claim == nil {
			left = append(left, &hold{AddressReservation: h.AddressReservation})
		}
	}
	if len(left) == 0 {
		r.abandoned.note(network.Name, nil, now)
		return nil, 0, nil
	}
	known, err := readEvidence(ctx, r.Client)
	if err != nil {
		return nil, 0, err
	}
	var idle []types.UID
	for _, h := range left {
		if !h.byObjects(known) {
			idle = append(idle, h.UID)
		}
	}
	vigils := r.abandoned.note(network.Name, idle, now)
	var due []*hold
	for _, h := range left {
		if h.reason != "" {
			again = soonest(again, abandonedGrace)
			continue
		}
		h.vigil = vigils[h.UID]
		h.since, h.reason, h.message = h.vigil.since, h.vigil.reason, h.vigil.message
		// A network is looked at whenever an address comes or goes, and hosts are not asked
		// as often.
		if wait := max(abandonedGrace-now.Sub(h.since), askHostsAgain-now.Sub(h.vigil.asked)); wait > 0 {
			again = soonest(again, wait)
		} else {
			due = append(due, h)
		}
	}
	wait, err := r.freeDue(ctx, network, due)
	if wait > 0 {
		again = soonest(again, wait)
	}
	return stillHeld(left), again, err
}

// freeDue frees those of whom nobody knows a user any more. Hosts are asked first, and the
// API server after them: no VM is made but for an object that was there before. It returns
// when to ask again for those that are not freed.
func (r *NetworkReconciler) freeDue(ctx context.Context, network *capstanv1.LogicalNetwork, due []*hold) (again time.Duration, err error) {
	if len(due) == 0 {
		return 0, nil
	}
	hosts, err := r.Census.Since(ctx, r.Clock.Now().Add(-oldestCensus))
	if err != nil {
		return 0, fmt.Errorf("asking hosts what they hold before addresses of LogicalNetwork %s are freed: %w", network.Name, err)
	}
	if hosts == nil {
		return askHostsSoon, nil
	}
	known, err := readEvidence(ctx, r.Live)
	if err != nil {
		return 0, err
	}
	known.installation = r.Installation
	for _, h := range due {
		claim, err := claimOf(ctx, r.Live, &h.Spec.ClaimRef)
		if err != nil {
			return 0, err
		}
		if claim != nil || h.byObjects(known) || h.byHosts(hosts, known) {
			h.vigil.asked, h.vigil.reason, h.vigil.message = r.Clock.Now(), h.reason, h.message
			again = askHostsAgain
			continue
		}
		if err := r.freeOne(ctx, network, h.AddressReservation); err != nil {
			return 0, err
		}
		h.freed = true
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
	if err := r.withdrawLeft(ctx, reservation); err != nil {
		return err
	}
	// It may have passed to a later claim since it was read.
	uid, version := reservation.UID, reservation.ResourceVersion
	gone := &capstanv1.AddressReservation{}
	gone.Name = reservation.Name
	if err := r.Client.Delete(ctx, gone, client.Preconditions{UID: &uid, ResourceVersion: &version}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("freeing %s: %w", reservation.Name, err)
	}
	ref := reservation.Spec.ClaimRef
	ctrllog.FromContext(ctx).Info("Abandoned address freed", "address", reservation.Spec.Address, "claim", ref.Namespace+"/"+ref.Name)
	r.Events.Eventf(network, nil, corev1.EventTypeWarning, "AbandonedAddressFreed", "Free",
		"%s was held for IPAddressClaim %s/%s, which is gone, and for nothing that runs", reservation.Spec.Address, ref.Namespace, ref.Name)
	return nil
}

// withdrawLeft deletes the IPAddress that a claim left behind which went by force. It
// belongs to the network as well, so that nobody else collects it.
func (r *NetworkReconciler) withdrawLeft(ctx context.Context, reservation *capstanv1.AddressReservation) error {
	ref := reservation.Spec.ClaimRef
	left := &ipamv1.IPAddress{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, left); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("reading IPAddress %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	owner := metav1.GetControllerOf(left)
	if left.Spec.Address != reservation.Spec.Address || IsForeign(left.Spec.PoolRef) || owner != nil && string(owner.UID) != ref.UID {
		return nil
	}
	uid := left.UID
	if err := r.Client.Delete(ctx, left, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting IPAddress %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return nil
}
