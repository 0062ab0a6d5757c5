package narrator

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
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

// Host is the Ready condition of a host.
func (p Picture) Host(name string) metav1.Condition {
	for i := range p.hosts {
		if p.hosts[i].Name == name {
			return demoenv.ReadyOf(&p.hosts[i])
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

// Emptied tells whether all VMs are known to run, and none on this host.
func (p Picture) Emptied(host string) bool {
	return !slices.ContainsFunc(p.vms, func(vm capstanv1.VirtualMachine) bool {
		return vm.Status.Host == host || demoenv.ReadyOf(&vm).Status != metav1.ConditionTrue
	})
}
