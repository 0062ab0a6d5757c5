package ipam

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AddressOf returns what a claim was given, an empty one if it does not hold an
// address. It is for whoever made the claim.
func AddressOf(ctx context.Context, cached, live client.Reader, claim *ipamv1.IPAddressClaim) (*ipamv1.IPAddress, error) {
	if claim.Status.AddressRef.Name == "" {
		return &ipamv1.IPAddress{}, nil
	}
	key := client.ObjectKey{Namespace: claim.Namespace, Name: claim.Status.AddressRef.Name}
	// The cache may still show what an earlier claim of this name was given.
	for _, from := range []client.Reader{cached, live} {
		address := &ipamv1.IPAddress{}
		err := from.Get(ctx, key, address)
		if err == nil && metav1.IsControlledBy(address, claim) {
			return address, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading IPAddress %s: %w", key, err)
		}
	}
	return &ipamv1.IPAddress{}, nil
}
