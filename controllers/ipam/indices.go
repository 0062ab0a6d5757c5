package ipam

import (
	"context"
	"fmt"

	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// poolIndex finds the claims of a LogicalNetwork, waitingIndex those of them that have
// no address yet, and networkIndex its AddressReservations.
const (
	poolIndex    = "capstan.dev/logical-network"
	waitingIndex = "capstan.dev/waits-for"
	networkIndex = "spec.logicalNetwork"
)

// indices are by what the controllers find objects in the cache.
var indices = []struct {
	kind  client.Object
	field string
	value client.IndexerFunc
}{
	{&ipamv1.IPAddressClaim{}, poolIndex, networkOfClaim},
	{&ipamv1.IPAddressClaim{}, waitingIndex, func(obj client.Object) []string {
		if claim, ok := obj.(*ipamv1.IPAddressClaim); !ok || claim.Status.AddressRef.Name != "" {
			return nil
		}
		return networkOfClaim(obj)
	}},
	{&capstanv1.AddressReservation{}, networkIndex, func(obj client.Object) []string {
		if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
			return []string{reservation.Spec.LogicalNetwork}
		}
		return nil
	}},
}

func networkOfClaim(obj client.Object) []string {
	if claim, ok := obj.(*ipamv1.IPAddressClaim); ok && isOurs(claim) {
		return []string{claim.Spec.PoolRef.Name}
	}
	return nil
}

func index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range indices {
		if err := indexer.IndexField(ctx, i.kind, i.field, i.value); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.kind, i.field, err)
		}
	}
	return nil
}
