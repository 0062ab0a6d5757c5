package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// vip is the virtual address as far as it is there.
type vip struct {
	address netip.Prefix
	vrid    int32
	// reason and message say why there is no address yet.
	reason, message string
	// contested says who has the virtual router ID that is kept all the same.
	contested string
	// full tells that the network has none left, and looksFull that it seems so before
	// the claim is answered.
	full, looksFull bool
}

func (v vip) isAllocated() bool { return v.address.IsValid() && v.vrid != 0 }

// vipChangedError says that the address was taken back and another one given.
type vipChangedError struct{ was, is string }

// Error implements error.
func (e *vipChangedError) Error() string {
	return fmt.Sprintf("the VIP was %s and its claim now holds %s: certificates and nodes hold the first one, which cannot be changed; make the cluster anew",
		e.was, e.is)
}

// reconcileVIP claims the virtual address and the virtual router ID.
func (r *Reconciler) reconcileVIP(ctx context.Context, s *scope) error {
	network, err := ipam.NetworkOf(ctx, r.Client, r.Live, s.lb.Spec.LogicalNetwork)
	if err != nil {
		return err
	}
	claim := &ipamv1.IPAddressClaim{}
	wanted := vipClaim(s.lb)
	if wanted.Spec.PoolRef, err = ipam.PoolFor(ctx, r.Client, vipClaimKey(s.lb), network, addresspool.VIPs); err != nil {
		return err
	}
	if wanted.Spec.PoolRef.Name == "" {
		s.vip.reason = capstanv1.ReasonLogicalNetworkNotFound
		s.vip.message = fmt.Sprintf("LogicalNetwork %s does not exist: make it, or name another", s.lb.Spec.LogicalNetwork)
		return nil
	}
	if err := r.applier.Object(ctx, s.lb, wanted, claim); err != nil {
		return err
	}
	// A claim that somebody deletes keeps its address as long as it is held.
	leaving := !claim.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(claim, capstanv1.LoadBalancerFinalizer)
	if claim.Status.AddressRef.Name == "" || leaving {
		s.vip.reason, s.vip.message = whyNoAddress(claim)
		s.vip.full = s.vip.reason == capstanv1.ReasonNetworkFull
		s.vip.looksFull = network != nil && network.Status.VIPs != nil && network.Status.VIPs.Free == 0
		return nil
	}
	address, err := ipam.AddressOf(ctx, r.Client, r.Live, claim)
	if err != nil {
		return err
	}
	key := client.ObjectKey{Namespace: claim.Namespace, Name: claim.Status.AddressRef.Name}
	if address.Spec.Address == "" {
		return fmt.Errorf("IPAddress %s, which the claim of the VIP names, was not given to it", key)
	}
	prefix, err := netip.ParsePrefix(fmt.Sprintf("%s/%d", address.Spec.Address, ptr.Deref(address.Spec.Prefix, prefixOf(network))))
	if err != nil {
		return fmt.Errorf("reading the address of IPAddress %s: %w", key, err)
	}
	if known := s.lb.Status.VIPs; len(known) > 0 && known[0] != prefix.Addr().String() {
		return &vipChangedError{was: known[0], is: prefix.Addr().String()}
	}
	if ipam.IsForeign(claim.Spec.PoolRef) && len(s.lb.Status.VIPs) == 0 {
		// Another provider knows nothing of Tombstones.
		tombstone, err := ipam.Buried(ctx, r.Live, s.lb.Spec.LogicalNetwork, prefix.Addr().String())
		if err != nil {
			return err
		}
		if tombstone != "" {
			s.vip.reason = capstanv1.ReasonAddressTaken
			s.vip.message = fmt.Sprintf("%s %s gave out %s, which a VM may still use that cannot be reached: waiting for Tombstone %s to go",
				claim.Spec.PoolRef.Kind, claim.Spec.PoolRef.Name, prefix.Addr(), tombstone)
			s.tryAgainIn(retryBuried)
			return nil
		}
	}
	s.vip.vrid, err = r.vridOf(ctx, s.lb, claim)
	var noVRID *noVRIDError
	if errors.As(err, &noVRID) {
		s.vip.reason, s.vip.message, s.vip.full = capstanv1.ReasonNetworkFull, noVRID.Error(), true
		return nil
	}
	var contested *contestedVRIDError
	if errors.As(err, &contested) {
		s.vip.contested, err = contested.Error(), nil
	}
	s.vip.address = prefix
	return err
}

// holdsBack tells whether no VM is made, and those that were are given back: there is
// no VIP for them, and each takes an address of the same network. Where one has had a
// plan there was a VIP, and a cluster that runs behind it.
func (s *scope) holdsBack(all []candidate) bool {
	switch {
	case s.vip.isAllocated() || len(s.lb.Status.VIPs) > 0:
		return false
	case s.vip.full:
		return !slices.ContainsFunc(all, func(c candidate) bool { return c.carried })
	default:
		// What made it full may be the VIP of this one.
		return s.vip.looksFull && len(all) == 0
	}
}

func vipClaim(lb *capstanv1.LoadBalancer) *ipamv1.IPAddressClaim {
	return &ipamv1.IPAddressClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: lb.Namespace, Name: vipClaimKey(lb).Name,
			Labels:      map[string]string{clusterv1.ClusterNameLabel: lb.Spec.ClusterName, capstanv1.LoadBalancerLabel: lb.Name},
			Annotations: map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs},
			// The VIP must not become free while a VM may hold it, even if somebody
			// deletes the claim. The ipam controller needs its own finalizer anyway.
			Finalizers:      []string{capstanv1.LoadBalancerFinalizer, capstanv1.IPAddressClaimFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(lb, capstanv1.GroupVersion.WithKind("LoadBalancer"))},
		},
		Spec: ipamv1.IPAddressClaimSpec{
			ClusterName: lb.Spec.ClusterName,
		},
	}
}

// releaseVIP gives the VIP back, and tells whether it is free.
func (r *Reconciler) releaseVIP(ctx context.Context, lb *capstanv1.LoadBalancer) (free bool, err error) {
	claim := &ipamv1.IPAddressClaim{}
	if free, err := r.applier.Delete(ctx, lb, claim, vipClaimKey(lb)); free || err != nil {
		return free, err
	}
	before := claim.DeepCopy()
	if controllerutil.RemoveFinalizer(claim, capstanv1.LoadBalancerFinalizer) {
		err = r.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing the finalizer from IPAddressClaim %s: %w", claim.Name, err)
	}
	return false, nil
}

func vipClaimKey(lb *capstanv1.LoadBalancer) client.ObjectKey {
	return client.ObjectKey{Namespace: lb.Namespace, Name: lb.Name + "-vip"}
}

// whyNoAddress passes the claim's own answer on.
func whyNoAddress(claim *ipamv1.IPAddressClaim) (reason, message string) {
	ready := conditions.Get(claim, ipamv1.IPAddressClaimReadyCondition)
	switch {
	case !claim.DeletionTimestamp.IsZero():
		return capstanv1.ReasonWaitingForVIP, "waiting for an earlier claim of the VIP to go"
	case ready == nil || ready.Status == metav1.ConditionTrue:
		return capstanv1.ReasonWaitingForVIP, "waiting for the VIP to be allocated"
	case ready.Reason == ipamv1.IPAddressClaimReadyPoolExhaustedReason:
		return capstanv1.ReasonNetworkFull, ready.Message
	default:
		return ready.Reason, ready.Message
	}
}
