package ipam

import (
	"context"
	"fmt"

	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// PoolOf returns the pool that claims of a network's addresses name: the network
// itself, or that of another provider.
func PoolOf(network *capstanv1.LogicalNetwork, use addresspool.Use) ipamv1.IPPoolReference {
	if from := addresspool.From(&network.Spec, use); from != nil {
		return ipamv1.IPPoolReference{APIGroup: from.APIGroup, Kind: from.Kind, Name: from.Name}
	}
	return ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: network.Name}
}

// IsForeign tells whether another provider answers the claims of a pool.
func IsForeign(pool ipamv1.IPPoolReference) bool {
	return pool.APIGroup != capstanv1.GroupVersion.Group || pool.Kind != "LogicalNetwork"
}

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
