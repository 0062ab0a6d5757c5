package loadbalancer

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// retryBuried is when an address is looked at again that a buried VM may still use.
const retryBuried = 5 * time.Second

// networkOf returns the LogicalNetwork of a load balancer, or nil if there is none.
func (r *Reconciler) networkOf(ctx context.Context, lb *capstanv1.LoadBalancer) (*capstanv1.LogicalNetwork, error) {
	network, key := &capstanv1.LogicalNetwork{}, client.ObjectKey{Name: lb.Spec.LogicalNetwork}
	err := r.Client.Get(ctx, key, network)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, network)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading LogicalNetwork %s: %w", key.Name, err)
	}
	return network, nil
}

// poolOfVIP returns the pool that the VIP comes from, an empty one where there is no
// network to say. What was claimed once stays: a claim cannot be changed.
func (r *Reconciler) poolOfVIP(ctx context.Context, lb *capstanv1.LoadBalancer, network *capstanv1.LogicalNetwork) (ipamv1.IPPoolReference, error) {
	claim := &ipamv1.IPAddressClaim{}
	err := r.Client.Get(ctx, vipClaimKey(lb), claim)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return ipamv1.IPPoolReference{}, fmt.Errorf("reading IPAddressClaim %s: %w", vipClaimKey(lb), err)
	case err == nil:
		return claim.Spec.PoolRef, nil
	case network == nil:
		return ipamv1.IPPoolReference{}, nil
	}
	return ipam.PoolOf(network, addresspool.VIPs), nil
}

// prefixOf is the length of the network's prefix, for an address of another provider
// that does not tell.
func prefixOf(network *capstanv1.LogicalNetwork) int32 {
	if network == nil {
		return 0
	}
	prefix, err := netip.ParsePrefix(network.Spec.Subnets[0].CIDR)
	if err != nil {
		return 0
	}
	return int32(prefix.Bits())
}

// inNewNetwork are the LoadBalancers that may have waited for a network.
func (r *Reconciler) inNewNetwork(ctx context.Context, network client.Object) []reconcile.Request {
	list := &capstanv1.LoadBalancerList{}
	if err := r.Client.List(ctx, list); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if lb := &list.Items[i]; lb.Spec.LogicalNetwork == network.GetName() && len(lb.Status.VIPs) == 0 {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(lb)})
		}
	}
	return requests
}
