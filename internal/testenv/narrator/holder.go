package narrator

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// ActiveLoadBalancer is the VM that holds a cluster's VIP.
func (n *Narrator) ActiveLoadBalancer(ctx context.Context, cluster client.ObjectKey) (capstanv1.LoadBalancerInstance, error) {
	balancer := &capstanv1.LoadBalancer{}
	if err := n.API.Get(ctx, cluster, balancer); err != nil {
		return capstanv1.LoadBalancerInstance{}, fmt.Errorf("reading LoadBalancer %s: %w", cluster.Name, err)
	}
	i := slices.IndexFunc(balancer.Status.Instances, isActive)
	if i < 0 {
		return capstanv1.LoadBalancerInstance{}, fmt.Errorf("LoadBalancer %s tells of no VM that holds its VIP", cluster.Name)
	}
	return balancer.Status.Instances[i], nil
}

func isActive(i capstanv1.LoadBalancerInstance) bool { return i.Role == string(lbapi.RoleActive) }

// Holder is the VM that holds a cluster's VIP.
func (p Picture) Holder(cluster client.ObjectKey) string {
	for i := range p.loadBalancers {
		if b := &p.loadBalancers[i]; client.ObjectKeyFromObject(b) == cluster {
			if at := slices.IndexFunc(b.Status.Instances, isActive); at >= 0 {
				return b.Status.Instances[at].Name
			}
		}
	}
	return ""
}
