package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/apply"
)

// vipPatience is how long a Service waits for its address before another one has its
// turn.
const vipPatience = 3 * time.Second

// waitingError says that an address is not there yet.
type waitingError struct{ what string }

// Error implements error.
func (e *waitingError) Error() string { return "waiting for " + e.what }

// noAddressError passes on why there is no address to be had.
type noAddressError struct{ reason, message string }

// Error implements error.
func (e *noAddressError) Error() string { return e.message }

// vips are the claims of virtual addresses for the Services of one LoadBalancer. It is
// safe for concurrent use.
type vips struct {
	client  client.Client
	live    client.Reader
	applier *apply.Applier
	clock   clock.WithTicker
	lb      *capstanv1.LoadBalancer
	book    *book
	// changed rings when a claim has changed.
	changed *bell
	// limit returns how many claims there may be, nil for as many as there are Services.
	limit func() *int32

	mu sync.Mutex
	// wanted are the claims that Services wait for or use, by the Services' names.
	wanted map[string]claimed
	// unmet are the Services of which it is not known yet which claims they use, and
	// allMet is called when there are none left.
	unmet  map[string]bool
	allMet func()
}

// of returns the virtual address for a Service, which it claims if need be.
func (v *vips) of(ctx context.Context, a ask) (string, error) {
	chosen, err := v.choose(ctx, a)
	if err != nil {
		return "", err
	}
	wanted, err := v.fromPool(ctx, chosen)
	if err != nil {
		return "", err
	}
	timeout := v.clock.NewTimer(vipPatience)
	defer timeout.Stop()
	for apply := true; ; {
		changed := v.changed.heard()
		claim := &ipamv1.IPAddressClaim{}
		if apply {
			if err := v.applier.Object(ctx, v.lb, wanted.DeepCopy(), claim); err != nil {
				return "", err
			}
			// An earlier one of its name has to go first.
			apply = !claim.DeletionTimestamp.IsZero()
		} else if err := v.client.Get(ctx, client.ObjectKeyFromObject(wanted), claim); client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("reading IPAddressClaim %s: %w", chosen.name, err)
		}
		address, err := v.addressOf(ctx, claim)
		if ipam.IsForeign(wanted.Spec.PoolRef) {
			err = v.isFitting(ctx, a, wanted, address, err)
		}
		if a.address == "" && isNotToBeHad(err) {
			// It is content with any other.
			if err = nil; chosen.request != "" {
				chosen = v.asksForAny(a.entry.Name, chosen)
				if wanted, err = v.fromPool(ctx, chosen); err != nil {
					return "", err
				}
				apply = true
				continue
			}
		}
		if address != "" || err != nil {
			return address, err
		}
		select {
		case <-changed:
		case <-timeout.C():
			if apply {
				return "", &waitingError{fmt.Sprintf("IPAddressClaim %s to go, which is being deleted", chosen.name)}
			}
			return "", &waitingError{"a virtual address"}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// isNotToBeHad tells that there is no address because of which one was asked for.
func isNotToBeHad(err error) bool {
	var no *noAddressError
	return errors.As(err, &no) && (no.reason == capstanv1.ReasonAddressTaken || no.reason == capstanv1.ReasonAddressOutOfRange)
}

// asksForAny has a claim ask for no address in particular.
func (v *vips) asksForAny(service string, c claimed) claimed {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.request = ""
	v.wanted[service] = c
	return c
}

// choose decides which claim a Service uses: the one it has wherever that is possible,
// since an address that clients know is not given up for nothing.
func (v *vips) choose(ctx context.Context, a ask) (claimed, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	claims, leaving, err := v.known(ctx)
	if err != nil {
		return claimed{}, err
	}
	name, label := a.entry.Name, hash(a.vipKey)
	chosen := claimed{label: label, request: a.address}
	has, _, isCarried := v.book.get(name)
	isHeld := false
	var own, fitting, other *claimed
	for i := range claims {
		c := &claims[i]
		isHeld = isHeld || c.address == has.VIP
		fits := a.address == "" || a.address == c.address || c.address == "" && a.address == c.request
		switch {
		case isCarried && c.address == has.VIP && fits:
			own = c
		case c.label != label:
		case fits && (fitting == nil || fitting.address == ""):
			fitting = c
		case !fits:
			other = c
		}
	}
	switch {
	case own != nil && own.label == label:
		chosen = *own
	case fitting != nil:
		chosen = *fitting
	case own != nil && len(v.book.users(own.address, name)) == 0:
		chosen = *own
		chosen.label = label
	case other != nil && a.shared && len(v.book.users(other.address, name)) > 0:
		v.meet(name)
		return claimed{}, &crowdedError{fmt.Sprintf("the Services that share this address have %s: ask for that, or share with others", other.address)}
	}
	if chosen.name == "" {
		chosen.name = v.newName(a, leaving)
		// Whoever asks for another address than its own gives that one back.
		swaps := isCarried && len(v.book.users(has.VIP, name)) == 0 && slices.ContainsFunc(claims, func(c claimed) bool { return c.address == has.VIP })
		if err = isLeaving(chosen, leaving); err == nil {
			err = v.allows(chosen, claims, leaving, swaps)
		}
		if err != nil {
			v.meet(name)
			return claimed{}, err
		}
	}
	if isCarried && !isHeld && a.address == "" && chosen.address == "" && chosen.request == "" {
		// The claim of what it has is gone: it is asked for again.
		chosen.request = has.VIP
	}
	v.wanted[name] = chosen
	v.meet(name)
	return chosen, nil
}
