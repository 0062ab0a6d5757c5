package ipam

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// NetworkOf returns a LogicalNetwork for who claims addresses of it, or nil if there is
// none. One that the cache does not show yet is asked for: it decides whom claims ask.
func NetworkOf(ctx context.Context, cached, live client.Reader, name string) (*capstanv1.LogicalNetwork, error) {
	network := &capstanv1.LogicalNetwork{}
	err := cached.Get(ctx, client.ObjectKey{Name: name}, network)
	if apierrors.IsNotFound(err) {
		err = live.Get(ctx, client.ObjectKey{Name: name}, network)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading LogicalNetwork %s: %w", name, err)
	}
	return network, nil
}

// PoolOf returns the pool that claims of a network's addresses name: the network
// itself, or that of another provider.
func PoolOf(network *capstanv1.LogicalNetwork, use addresspool.Use) ipamv1.IPPoolReference {
	if from := addresspool.From(&network.Spec, use); from != nil {
		return ipamv1.IPPoolReference{APIGroup: from.APIGroup, Kind: from.Kind, Name: from.Name}
	}
	return ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: network.Name}
}

// PoolFor returns the pool that a claim names, or is to name if it is not there: what was
// claimed once stays, as a claim cannot be changed. It is an empty one where there is no
// network to say.
func PoolFor(ctx context.Context, cached client.Reader, claim client.ObjectKey, network *capstanv1.LogicalNetwork, use addresspool.Use) (ipamv1.IPPoolReference, error) {
	existing := &ipamv1.IPAddressClaim{}
	err := cached.Get(ctx, claim, existing)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return ipamv1.IPPoolReference{}, fmt.Errorf("reading IPAddressClaim %s: %w", claim, err)
	case err == nil:
		return existing.Spec.PoolRef, nil
	case network == nil:
		return ipamv1.IPPoolReference{}, nil
	}
	return PoolOf(network, use), nil
}

// IsForeign tells whether another provider answers the claims of a pool.
func IsForeign(pool ipamv1.IPPoolReference) bool {
	return pool.APIGroup != capstanv1.GroupVersion.Group || pool.Kind != "LogicalNetwork"
}
