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

// fromPool returns a claim as it is made, from the pool that its network names.
func (v *vips) fromPool(ctx context.Context, c claimed) (*ipamv1.IPAddressClaim, error) {
	network, claim := &capstanv1.LogicalNetwork{}, v.claimOf(c)
	err := v.client.Get(ctx, client.ObjectKey{Name: v.lb.Spec.LogicalNetwork}, network)
	if err == nil {
		claim.Spec.PoolRef = ipam.PoolOf(network, addresspool.VIPs)
	}
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading LogicalNetwork %s: %w", v.lb.Spec.LogicalNetwork, err)
	}
	return claim, nil
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
