package ipam

import (
	"context"
	"fmt"

	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Buried returns the name of the Tombstone that holds an address of a network, read past
// the cache, or "". A provider that knows no Tombstones gives such an address away as
// soon as the claim of the buried VM is gone.
func Buried(ctx context.Context, live client.Reader, network, address string) (string, error) {
	tombstones := &capstanv1.TombstoneList{}
	if err := live.List(ctx, tombstones); err != nil {
		return "", fmt.Errorf("listing Tombstones: %w", err)
	}
	for i := range tombstones.Items {
		if tombstones.Items[i].Holds(capstanv1.ReservedAddress{LogicalNetwork: network, Address: address}) {
			return tombstones.Items[i].Name, nil
		}
	}
	return "", nil
}

// isWatched tells whether a claim is to be answered, or holds something of ours while
// another provider answers it.
func isWatched(claim *ipamv1.IPAddressClaim) bool {
	return isOurs(claim) || controllerutil.ContainsFinalizer(claim, capstanv1.IPAddressClaimFinalizer)
}
