package virtualmachine

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/apply"
)

func claimName(vm *capstanv1.VirtualMachine, network int) string {
	return fmt.Sprintf("%s-%d", vm.Name, network)
}

// claimAddresses has an address for every network.
func (r *Reconciler) claimAddresses(ctx context.Context, s *scope) (*wait, error) {
	if waiting, err := r.findNetworks(ctx, s); waiting != nil || err != nil {
		return waiting, err
	}
	var first *wait
	for i, network := range s.networks {
		waiting, err := r.claimAddress(ctx, s, i, network)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = waiting
		}
	}
	if placed(s.was) {
		// The VM has its addresses; it is followed whatever becomes of the claims.
		return nil, nil
	}
	return first, nil
}

func (r *Reconciler) findNetworks(ctx context.Context, s *scope) (*wait, error) {
	for _, n := range s.vm.Spec.Networks {
		network, err := ipam.NetworkOf(ctx, r.Client, r.Live, n.LogicalNetwork)
		if err != nil {
			return nil, err
		}
		if network == nil {
			return &wait{
				reason: capstanv1.ReasonLogicalNetworkNotFound, requeue: pollWaiting,
				message: fmt.Sprintf("LogicalNetwork %s does not exist: add it", n.LogicalNetwork),
			}, nil
		}
		s.networks = append(s.networks, network)
	}
	return nil, nil
}

func (r *Reconciler) claimAddress(ctx context.Context, s *scope, i int, network *capstanv1.LogicalNetwork) (*wait, error) {
	key := client.ObjectKey{Namespace: s.vm.Namespace, Name: claimName(s.vm, i)}
	claim := &ipamv1.IPAddressClaim{}
	err := r.Client.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) {
		claim, err = r.newClaim(s, key, network)
		if err != nil {
			return nil, err
		}
		// A claim that the cache has not seen yet is met again at its event.
		err = r.Client.Create(ctx, claim, client.FieldOwner(capstanv1.FieldOwner))
		if apierrors.IsAlreadyExists(err) {
			err = r.Live.Get(ctx, key, claim)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("claiming an address as IPAddressClaim %s: %w", key, err)
	}
	if !apply.OwnedBy(claim, s.vm.UID) {
		return &wait{
			reason: capstanv1.ReasonConflict, requeue: pollWaiting,
			message: fmt.Sprintf("IPAddressClaim %s exists and was not made for this VM: it is left alone", key.Name),
		}, nil
	}
	address, err := r.givenTo(ctx, claim)
	if err != nil {
		return nil, err
	}
	if address == nil {
		return waitForAddress(claim, network), nil
	}
	if waiting, err := r.waitForBuried(ctx, s, claim, network, address); waiting != nil || err != nil {
		return waiting, err
	}
	s.addresses = append(s.addresses, address)
	return nil, nil
}

// givenTo returns the address of a claim, or nil as long as it has none.
func (r *Reconciler) givenTo(ctx context.Context, claim *ipamv1.IPAddressClaim) (*ipamv1.IPAddress, error) {
	if ipam.IsForeign(claim.Spec.PoolRef) {
		// Other providers name their IPAddresses as they like.
		address, err := ipam.AddressOf(ctx, r.Client, r.Live, claim)
		if err != nil || address.Name == "" {
			return nil, err
		}
		return address, nil
	}
	// Ours bear the claim's name, and are there before the claim says so.
	address, key := &ipamv1.IPAddress{}, client.ObjectKeyFromObject(claim)
	switch err := r.Client.Get(ctx, key, address); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading IPAddress %s: %w", key, err)
	case !apply.OwnedBy(address, claim.UID):
		// It is of an earlier claim of this name, and somebody else may have the
		// address by now. The claim's own is on the way.
		return nil, nil
	}
	return address, nil
}

// waitForBuried keeps a VM from an address that a buried one may still use: another
// provider knows nothing of Tombstones.
func (r *Reconciler) waitForBuried(ctx context.Context, s *scope, claim *ipamv1.IPAddressClaim, network *capstanv1.LogicalNetwork, address *ipamv1.IPAddress) (*wait, error) {
	if placed(s.was) || !ipam.IsForeign(claim.Spec.PoolRef) {
		return nil, nil
	}
	tombstone, err := ipam.Buried(ctx, r.Live, network.Name, address.Spec.Address)
	if err != nil || tombstone == "" {
		return nil, err
	}
	return &wait{
		reason: capstanv1.ReasonAddressTaken, requeue: pollWaiting,
		message: fmt.Sprintf("%s %s gave out %s, which a VM may still use that cannot be reached: waiting for Tombstone %s to go",
			claim.Spec.PoolRef.Kind, claim.Spec.PoolRef.Name, address.Spec.Address, tombstone),
	}, nil
}

func (r *Reconciler) newClaim(s *scope, key client.ObjectKey, network *capstanv1.LogicalNetwork) (*ipamv1.IPAddressClaim, error) {
	claim := &ipamv1.IPAddressClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels: map[string]string{clusterv1.ClusterNameLabel: s.vm.Spec.ClusterName, capstanv1.VMIDLabel: s.vm.Spec.ID},
			// An address must not become free while the VM may still use it, even if
			// somebody deletes the claim. The ipam controller needs its own finalizer
			// anyway.
			Finalizers: []string{capstanv1.VirtualMachineFinalizer, capstanv1.IPAddressClaimFinalizer},
		},
		Spec: ipamv1.IPAddressClaimSpec{
			ClusterName: s.vm.Spec.ClusterName,
			PoolRef:     ipam.PoolOf(network, addresspool.Nodes),
		},
	}
	if err := controllerutil.SetControllerReference(s.vm, claim, r.Client.Scheme()); err != nil {
		return nil, fmt.Errorf("making IPAddressClaim %s belong to its VM: %w", key, err)
	}
	return claim, nil
}

func waitForAddress(claim *ipamv1.IPAddressClaim, network *capstanv1.LogicalNetwork) *wait {
	w := &wait{reason: capstanv1.ReasonWaitingForAddress, message: fmt.Sprintf("waiting for an address of LogicalNetwork %s", network.Name)}
	ready := meta.FindStatusCondition(claim.Status.Conditions, ipamv1.IPAddressClaimReadyCondition)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return w
	}
	if ready.Reason == ipamv1.IPAddressClaimReadyPoolExhaustedReason || ready.Reason == capstanv1.ReasonNetworkFull {
		w.reason = capstanv1.ReasonNetworkFull
		w.message = ready.Message
		return w
	}
	w.message += ": " + ready.Message
	return w
}

// releaseClaims gives the addresses back. Those of a buried VM stay reserved by
// its tombstone.
func (r *Reconciler) releaseClaims(ctx context.Context, s *scope) error {
	for i := range s.vm.Spec.Networks {
		key := client.ObjectKey{Namespace: s.vm.Namespace, Name: claimName(s.vm, i)}
		claim := &ipamv1.IPAddressClaim{}
		// Read past the cache: a claim that it has not seen yet would be left behind.
		err := r.Live.Get(ctx, key, claim)
		if apierrors.IsNotFound(err) || err == nil && !apply.OwnedBy(claim, s.vm.UID) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading IPAddressClaim %s: %w", key, err)
		}
		before := claim.DeepCopy()
		if controllerutil.RemoveFinalizer(claim, capstanv1.VirtualMachineFinalizer) {
			if err := r.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("removing the finalizer from IPAddressClaim %s: %w", key, err)
			}
		}
		if err := r.Client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting IPAddressClaim %s: %w", key, err)
		}
	}
	return nil
}
