package loadbalancer

import (
	"context"
	"net/netip"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// retryBuried is when an address is looked at again that a buried VM may still use.
const retryBuried = 5 * time.Second

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
