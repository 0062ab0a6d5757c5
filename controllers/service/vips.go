package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
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

// claimed is a claim as it is chosen, which the API server may not have yet.
type claimed struct {
	name, label, request string
	// address is what it was given, "" while that is not known.
	address string
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
			err = isAsGiven(a, wanted, address, err)
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

// known are the claims that are not being deleted, those included that the cache does
// not show yet, and those that are leaving.
func (v *vips) known(ctx context.Context) (known, leaving []claimed, err error) {
	list, err := v.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for i := range list {
		claim := &list[i]
		seen[claim.Name] = true
		c := claimed{name: claim.Name, label: claim.Labels[capstanv1.ServiceVIPLabel], request: claim.Annotations[capstanv1.RequestedAddressAnnotation]}
		if c.address, err = v.givenTo(ctx, claim); err != nil {
			return nil, nil, err
		}
		if claim.DeletionTimestamp.IsZero() {
			known = append(known, c)
		} else {
			leaving = append(leaving, c)
		}
	}
	for _, c := range v.wanted {
		if !seen[c.name] {
			seen[c.name] = true
			known = append(known, c)
		}
	}
	return known, leaving, nil
}

func (v *vips) list(ctx context.Context, options ...client.ListOption) ([]ipamv1.IPAddressClaim, error) {
	claims := &ipamv1.IPAddressClaimList{}
	if err := v.client.List(ctx, claims, append(options, client.InNamespace(v.lb.Namespace),
		client.MatchingLabels{capstanv1.LoadBalancerLabel: v.lb.Name}, client.HasLabels{capstanv1.ServiceVIPLabel})...); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s: %w", v.lb.Name, err)
	}
	var owned []ipamv1.IPAddressClaim
	for i := range claims.Items {
		if metav1.IsControlledBy(&claims.Items[i], v.lb) {
			owned = append(owned, claims.Items[i])
		}
	}
	return owned, nil
}

// addressOf returns the address of a claim, "" as long as it has none, or why it will
// not get one.
func (v *vips) addressOf(ctx context.Context, claim *ipamv1.IPAddressClaim) (string, error) {
	if !claim.DeletionTimestamp.IsZero() {
		return "", nil
	}
	if ready := conditions.Get(claim, ipamv1.IPAddressClaimReadyCondition); ready != nil && ready.Status == metav1.ConditionFalse {
		return "", &noAddressError{ready.Reason, ready.Message}
	}
	return v.givenTo(ctx, claim)
}

// givenTo returns the address that a claim was given, or "".
func (v *vips) givenTo(ctx context.Context, claim *ipamv1.IPAddressClaim) (string, error) {
	address, err := ipam.AddressOf(ctx, v.client, v.live, claim)
	if err != nil {
		return "", err
	}
	return address.Spec.Address, nil
}

// forget says that a Service uses no address any more.
func (v *vips) forget(service string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.wanted, service)
	v.meet(service)
}

// expect says that nothing is given back until it is known of each of some Services which
// claim it uses. What they are is asked here, so that none can go unnoticed meanwhile.
func (v *vips) expect(services func() ([]string, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	names, err := services()
	if err != nil {
		return err
	}
	v.unmet = map[string]bool{}
	for _, name := range names {
		v.unmet[name] = true
	}
	return nil
}

// met says that a Service uses no other claim than those that are known.
func (v *vips) met(service string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.meet(service)
}

// meet is met for those who have the lock.
func (v *vips) meet(service string) {
	if !v.unmet[service] {
		return
	}
	delete(v.unmet, service)
	if len(v.unmet) == 0 {
		v.allMet()
	}
}

func (v *vips) knowsAll() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.unmet) == 0
}

// release deletes the claims that no Service uses or waits for. Their addresses come
// free once no load-balancer VM can hold them: the LoadBalancer sees to that.
func (v *vips) release(ctx context.Context) error {
	if !v.knowsAll() {
		return nil
	}
	list, err := v.list(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		claim := &list[i]
		if !claim.DeletionTimestamp.IsZero() {
			continue
		}
		address, err := v.givenTo(ctx, claim)
		if err != nil {
			return err
		}
		if v.isWanted(claim.Name, address) {
			continue
		}
		uid := claim.UID
		if err := v.client.Delete(ctx, claim, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting IPAddressClaim %s: %w", claim.Name, err)
		}
	}
	return nil
}

func (v *vips) isWanted(name, address string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.wanted {
		if c.name == name {
			return true
		}
	}
	return address != "" && len(v.book.users(address, "")) > 0
}

func (v *vips) claimOf(c claimed) *ipamv1.IPAddressClaim {
	claim := &ipamv1.IPAddressClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v.lb.Namespace, Name: c.name,
			Labels: map[string]string{
				clusterv1.ClusterNameLabel: v.lb.Spec.ClusterName, capstanv1.LoadBalancerLabel: v.lb.Name, capstanv1.ServiceVIPLabel: c.label,
			},
			Annotations: map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs},
			// The address must not become free while a VM may hold it.
			Finalizers:      []string{capstanv1.LoadBalancerFinalizer, capstanv1.IPAddressClaimFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(v.lb, capstanv1.GroupVersion.WithKind("LoadBalancer"))},
		},
		Spec: ipamv1.IPAddressClaimSpec{
			ClusterName: v.lb.Spec.ClusterName,
			PoolRef:     ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: v.lb.Spec.LogicalNetwork},
		},
	}
	if c.request != "" {
		claim.Annotations[capstanv1.RequestedAddressAnnotation] = c.request
	}
	return claim
}

// hash makes a label or part of a name of text that anybody may have written.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// uses tells whether a Service uses, or waits for, an address.
func (v *vips) uses(service string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.wanted[service]
	return ok
}
