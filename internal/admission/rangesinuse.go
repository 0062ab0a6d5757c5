package admission

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// heldAddress is one that somebody has.
type heldAddress struct {
	netip.Addr
	holder string
}

// inUse refuses ranges that no longer hold an address in use, and warns of a subnet
// that guests will not hear of.
func (v *logicalNetworkValidator) inUse(ctx context.Context, old, network *capstanv1.LogicalNetwork) (field.ErrorList, admission.Warnings, error) {
	held, err := v.heldIn(ctx, network.Name)
	if err != nil || len(held) == 0 {
		return nil, nil, err
	}
	var errs field.ErrorList
	for _, use := range []addresspool.Use{addresspool.Nodes, addresspool.VIPs} {
		before, err := addresspool.New(&old.Spec, use)
		if err != nil {
			continue
		}
		after, err := addresspool.New(&network.Spec, use)
		if err != nil {
			continue
		}
		var lost []heldAddress
		for _, h := range held {
			if before.Contains(h.Addr) && !after.Contains(h.Addr) {
				lost = append(lost, h)
			}
		}
		if len(lost) > 0 {
			errs = append(errs, field.Invalid(subnetPath.Child(use.Field()), lost[0].String(), fmt.Sprintf(
				"would no longer be given out, and is in use, as are %d in all: %s: delete what uses them first, or keep them in the ranges", len(lost), holdersOf(lost))))
		}
	}
	was, is := old.Spec.Subnets[0], network.Spec.Subnets[0]
	if was.CIDR != is.CIDR || was.Gateway != is.Gateway {
		return errs, admission.Warnings{fmt.Sprintf("%d addresses are in use: their guests keep the prefix and the gateway that they booted with until they are replaced", len(held))}, nil
	}
	return errs, nil, nil
}

// poolInUse refuses another pool in place of the one that claims name: a claim cannot
// be changed. Which claims will be made is not known, so that all users count.
func (v *logicalNetworkValidator) poolInUse(ctx context.Context, old, network *capstanv1.LogicalNetwork) (field.ErrorList, error) {
	was, is := old.Spec.Subnets[0], network.Spec.Subnets[0]
	var errs field.ErrorList
	for _, c := range []struct {
		field   string
		was, is *capstanv1.PoolReference
	}{{"nodesFrom", was.NodesFrom, is.NodesFrom}, {"vipsFrom", was.VIPsFrom, is.VIPsFrom}} {
		if ptr.Equal(c.was, c.is) {
			continue
		}
		users, err := v.usersOf(ctx, network.Name)
		if err != nil || len(users) == 0 {
			return nil, err
		}
		errs = append(errs, field.Forbidden(subnetPath.Child(c.field),
			fmt.Sprintf("cannot be changed while the network is used by %s: make another LogicalNetwork", firstFew(users))))
	}
	return errs, nil
}

// heldIn returns the addresses of a network that are reserved, the lowest first.
func (v *logicalNetworkValidator) heldIn(ctx context.Context, network string) ([]heldAddress, error) {
	list := &capstanv1.AddressReservationList{}
	if err := v.live.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing AddressReservations: %w", err)
	}
	var held []heldAddress
	for i := range list.Items {
		spec := &list.Items[i].Spec
		address, err := netip.ParseAddr(spec.Address)
		if err != nil || spec.LogicalNetwork != network {
			continue
		}
		holder := fmt.Sprintf("%s by IPAddressClaim %s/%s", address, spec.ClaimRef.Namespace, spec.ClaimRef.Name)
		if cluster := list.Items[i].Labels[clusterv1.ClusterNameLabel]; cluster != "" {
			holder += " of cluster " + cluster
		}
		held = append(held, heldAddress{address, holder})
	}
	slices.SortFunc(held, func(a, b heldAddress) int { return a.Compare(b.Addr) })
	return held, nil
}

// holdersOf names the first few holders, and how many more there are.
func holdersOf(held []heldAddress) string {
	var names []string
	for _, h := range held {
		names = append(names, h.holder)
	}
	return firstFew(names)
}
