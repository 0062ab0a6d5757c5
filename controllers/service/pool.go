package service

import (
	"context"
	"fmt"

	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// fromPool returns a claim as it is made, from the pool that its network names. Without the
// network nobody can tell which that is.
func (v *vips) fromPool(ctx context.Context, c claimed) (*ipamv1.IPAddressClaim, error) {
	network, err := ipam.NetworkOf(ctx, v.client, v.live, v.lb.Spec.LogicalNetwork)
	if err != nil {
		return nil, err
	}
	claim := v.claimOf(c)
	claim.Spec.PoolRef, err = ipam.PoolFor(ctx, v.client, client.ObjectKeyFromObject(claim), network, addresspool.VIPs)
	if err != nil {
		return nil, err
	}
	if claim.Spec.PoolRef.Name == "" {
		return nil, &waitingError{fmt.Sprintf("LogicalNetwork %s, which does not exist", v.lb.Spec.LogicalNetwork)}
	}
	return claim, nil
}

// isFitting tells why a Service cannot have, or cannot have yet, what another provider gave
// it.
func (v *vips) isFitting(ctx context.Context, a ask, claim *ipamv1.IPAddressClaim, address string, err error) error {
	if err = isAsGiven(a, claim, address, err); err != nil || address == "" {
		return err
	}
	return v.isNobodys(ctx, a.entry.Name, claim, address)
}

// isNobodys keeps a Service from an address that a buried VM may still hold: another
// provider knows nothing of Tombstones. What this load balancer carries already is its own,
// and its VMs settle among themselves which of them has it.
func (v *vips) isNobodys(ctx context.Context, service string, claim *ipamv1.IPAddressClaim, address string) error {
	if has, _, carried := v.book.get(service); carried && has.VIP == address || len(v.book.users(address, service)) > 0 {
		return nil
	}
	tombstone, err := ipam.Buried(ctx, v.live, v.lb.Spec.LogicalNetwork, address)
	if err != nil || tombstone == "" {
		return err
	}
	return &waitingError{fmt.Sprintf("Tombstone %s to go: %s %s gave out %s, which a VM may still use that cannot be reached",
		tombstone, claim.Spec.PoolRef.Kind, claim.Spec.PoolRef.Name, address)}
}

// isAsGiven tells why a Service cannot have what another provider gave it: it asks for a
// certain address, and that provider gives out what it likes.
func isAsGiven(a ask, claim *ipamv1.IPAddressClaim, address string, err error) error {
	if err == nil && a.address != "" && address != "" && address != a.address {
		return &noAddressError{capstanv1.ReasonAddressOutOfRange, fmt.Sprintf(
			"%s %s gave out %s and cannot be asked for %s: ask for none", claim.Spec.PoolRef.Kind, claim.Spec.PoolRef.Name, address, a.address)}
	}
	return err
}
