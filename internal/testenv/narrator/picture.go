package narrator

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// Picture is the state of all that is watched.
type Picture struct {
	hosts         []capstanv1.HyperVHost
	clusters      []capstanv1.WorkloadCluster
	pools         []capstanv1.NodePool
	loadBalancers []capstanv1.LoadBalancer
	vms           []capstanv1.VirtualMachine
	machines      []clusterv1.Machine
}

// specs are the generations of what users asked for. A picture that is older says
// nothing of it.
type specs map[types.UID]int64

func look(ctx context.Context, reader client.Reader) (Picture, error) {
	var (
		hosts         capstanv1.HyperVHostList
		clusters      capstanv1.WorkloadClusterList
		pools         capstanv1.NodePoolList
		loadBalancers capstanv1.LoadBalancerList
		vms           capstanv1.VirtualMachineList
		machines      clusterv1.MachineList
	)
	for _, list := range []client.ObjectList{&hosts, &clusters, &pools, &loadBalancers, &vms, &machines} {
		if err := reader.List(ctx, list); err != nil {
			return Picture{}, fmt.Errorf("looking at %T: %w", list, err)
		}
	}
	return Picture{hosts.Items, clusters.Items, pools.Items, loadBalancers.Items, vms.Items, machines.Items}, nil
}

// readSpecs reads what users have asked for up to now, past every cache.
func readSpecs(ctx context.Context, api client.Reader) (specs, error) {
	p, err := look(ctx, api)
	if err != nil {
		return nil, err
	}
	wanted := specs{}
	for i := range p.clusters {
		wanted[p.clusters[i].UID] = p.clusters[i].Generation
	}
	for i := range p.pools {
		wanted[p.pools[i].UID] = p.pools[i].Generation
	}
	return wanted, nil
}

// lack says what there is not yet of all that was asked for, or "".
func (p Picture) lack(wanted specs) string {
	seen := specs{}
	machines := int32(0)
	for i := range p.clusters {
		c := &p.clusters[i]
		seen[c.UID] = c.Generation
		machines += replicasOf(c)
		if c.Status.Version != c.Spec.Version {
			return fmt.Sprintf("%s at %s", describe(c), c.Spec.Version)
		}
	}
	for i := range p.pools {
		pool := &p.pools[i]
		seen[pool.UID] = pool.Generation
		n := ptr.Deref(pool.Spec.Replicas, 1)
		machines += n
		if s := pool.Status; s.Replicas != n || s.ReadyReplicas != n || s.UpToDateReplicas != n {
			return fmt.Sprintf("%s with %d nodes", describe(pool), n)
		}
		if c := p.clusterOf(pool); c == nil || pool.Status.Version != c.Spec.Version {
			return describe(pool) + " at the version of its cluster"
		}
	}
	for uid, generation := range wanted {
		if seen[uid] < generation {
			return "the newest picture"
		}
	}
	for i := range p.loadBalancers {
		machines += ptr.Deref(p.loadBalancers[i].Spec.Replicas, 1)
	}
	if len(p.vms) != int(machines) {
		return fmt.Sprintf("%d VMs", machines)
	}
	for _, object := range p.ours() {
		if host, is := object.(*capstanv1.HyperVHost); is && host.Spec.Lost {
			// That it is not Ready is what its administrator says.
			continue
		}
		if demoenv.ReadyOf(object).Status != metav1.ConditionTrue || object.GetDeletionTimestamp() != nil {
			return describe(object)
		}
	}
	return ""
}

func replicasOf(c *capstanv1.WorkloadCluster) int32 {
	return ptr.Deref(c.Spec.ControlPlane.Replicas, 3)
}

func (p Picture) clusterOf(pool *capstanv1.NodePool) *capstanv1.WorkloadCluster {
	for i := range p.clusters {
		if c := &p.clusters[i]; c.Namespace == pool.Namespace && c.Name == pool.Spec.ClusterName {
			return c
		}
	}
	return nil
}

// nodes is how many nodes a cluster shall have, and their version.
func (p Picture) nodes(cluster client.ObjectKey) (count int, version string) {
	for i := range p.clusters {
		if c := &p.clusters[i]; client.ObjectKeyFromObject(c) == cluster {
			count, version = int(replicasOf(c)), c.Spec.Version
		}
	}
	for i := range p.pools {
		if pool := &p.pools[i]; pool.Namespace == cluster.Namespace && pool.Spec.ClusterName == cluster.Name {
			count += int(ptr.Deref(pool.Spec.Replicas, 1))
		}
	}
	return count, version
}

// ours are Capstan's own objects, what users write first.
func (p Picture) ours() []demoenv.Conditioned {
	var all []demoenv.Conditioned
	for i := range p.clusters {
		all = append(all, &p.clusters[i])
	}
	for i := range p.pools {
		all = append(all, &p.pools[i])
	}
	for i := range p.loadBalancers {
		all = append(all, &p.loadBalancers[i])
	}
	for i := range p.vms {
		all = append(all, &p.vms[i])
	}
	for i := range p.hosts {
		all = append(all, &p.hosts[i])
	}
	return all
}

// Empty tells whether no cluster, nor anything of one, is left.
func (p Picture) Empty() bool { return len(p.ours()) == len(p.hosts) && len(p.machines) == 0 }

// VMs are all that there are.
func (p Picture) VMs() []capstanv1.VirtualMachine { return p.vms }

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

// NodesReady is of how many machines the nodes are Ready.
func (p Picture) NodesReady() int {
	ready := 0
	for i := range p.machines {
		if meta.IsStatusConditionTrue(p.machines[i].Status.Conditions, clusterv1.MachineNodeReadyCondition) {
			ready++
		}
	}
	return ready
}
