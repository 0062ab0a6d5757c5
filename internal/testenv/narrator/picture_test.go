package narrator

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

var (
	isReady  = condition(metav1.ConditionTrue, "Ready", "")
	notReady = condition(metav1.ConditionFalse, "WaitingForMachines", "1 of 3 nodes ready")
)

func condition(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: capstanv1.ReadyCondition, Status: status, Reason: reason, Message: message, ObservedGeneration: 1}}
}

func object(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name), Generation: 1}
}

// whole is a picture of a cluster of one member, a pool of two nodes and a load
// balancer of two VMs, with all of it as it should be.
func whole(with ...func(*Picture)) Picture {
	p := Picture{
		clusters:      []capstanv1.WorkloadCluster{{ObjectMeta: object("default", "shop")}},
		pools:         []capstanv1.NodePool{{ObjectMeta: object("default", "shop-linux")}},
		loadBalancers: []capstanv1.LoadBalancer{{ObjectMeta: object("default", "shop")}},
	}
	cluster, pool, balancer := &p.clusters[0], &p.pools[0], &p.loadBalancers[0]
	cluster.Spec.Version, cluster.Spec.ControlPlane.Replicas = "v1.36.3", ptr.To[int32](1)
	cluster.Status.Version, cluster.Status.Conditions = "v1.36.3", isReady
	pool.Spec.ClusterName, pool.Spec.Replicas = "shop", ptr.To[int32](2)
	pool.Status.Version, pool.Status.Conditions = "v1.36.3", isReady
	pool.Status.Replicas, pool.Status.ReadyReplicas, pool.Status.UpToDateReplicas = 2, 2, 2
	balancer.Spec.Replicas, balancer.Status.Conditions = ptr.To[int32](2), isReady
	for _, name := range []string{"cp", "w1", "w2", "lb1", "lb2"} {
		vm := capstanv1.VirtualMachine{ObjectMeta: object("default", name)}
		vm.Status.Conditions = isReady
		p.vms = append(p.vms, vm)
	}
	for _, change := range with {
		change(&p)
	}
	return p
}

func TestOnlyWhatIsWholeLacksNothing(t *testing.T) {
	wanted := specs{"default/shop": 1, "default/shop-linux": 1}
	for name, c := range map[string]struct {
		change func(*Picture)
		lacks  string
	}{
		"all is there":                        {func(*Picture) {}, ""},
		"the cluster is not Ready":            {func(p *Picture) { p.clusters[0].Status.Conditions = notReady }, "WorkloadCluster shop"},
		"a member has the old version":        {func(p *Picture) { p.clusters[0].Spec.Version = "v1.36.4" }, "WorkloadCluster shop at v1.36.4"},
		"the pool has the old version":        {func(p *Picture) { p.pools[0].Status.Version = "v1.36.2" }, "NodePool shop-linux at the version of its cluster"},
		"a node too few":                      {func(p *Picture) { p.pools[0].Status.ReadyReplicas = 1 }, "NodePool shop-linux with 2 nodes"},
		"a node too many":                     {func(p *Picture) { p.pools[0].Status.Replicas = 3 }, "NodePool shop-linux with 2 nodes"},
		"a node that is yet to be replaced":   {func(p *Picture) { p.pools[0].Status.UpToDateReplicas = 1 }, "NodePool shop-linux with 2 nodes"},
		"a load balancer that is not Ready":   {func(p *Picture) { p.loadBalancers[0].Status.Conditions = notReady }, "LoadBalancer shop"},
		"a VM too few":                        {func(p *Picture) { p.vms = p.vms[1:] }, "5 VMs"},
		"a VM that is not Ready":              {func(p *Picture) { p.vms[0].Status.Conditions = notReady }, "VirtualMachine cp"},
		"a host that is not Ready":            {func(p *Picture) { p.hosts = []capstanv1.HyperVHost{{ObjectMeta: object("", "hv1")}} }, "HyperVHost hv1"},
		"a pool that nobody looked at lately": {func(p *Picture) { p.pools[0].Generation = 2 }, "NodePool shop-linux"},
		"a cluster that was not seen yet":     {func(p *Picture) { p.clusters = nil }, "NodePool shop-linux at the version of its cluster"},
		"something that is being deleted": {func(p *Picture) {
			now := metav1.Now()
			p.vms[0].DeletionTimestamp = &now
		}, "VirtualMachine cp"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(whole(c.change).lack(wanted)).To(Equal(c.lacks))
		})
	}
}

func TestAPictureFromBeforeAChangeSaysNothingOfIt(t *testing.T) {
	g := NewWithT(t)
	g.Expect(whole().lack(specs{"default/shop-linux": 2})).To(Equal("the newest picture"))
	g.Expect(whole().lack(specs{"lab/lab": 1})).To(Equal("the newest picture"))
}

func TestNodesAreThoseOfTheClusterAlone(t *testing.T) {
	g := NewWithT(t)
	p := whole(func(p *Picture) {
		other := whole()
		other.clusters[0].Namespace, other.pools[0].Namespace = "lab", "lab"
		p.clusters, p.pools = append(p.clusters, other.clusters...), append(p.pools, other.pools...)
	})
	count, version := p.nodes(client.ObjectKey{Namespace: "default", Name: "shop"})
	g.Expect(count).To(Equal(3))
	g.Expect(version).To(Equal("v1.36.3"))
}

func TestNodesAreCountedAsTheTableHasThem(t *testing.T) {
	g := NewWithT(t)
	ready, all := countNodes("NAME   STATUS     ROLES    AGE   VERSION\na      Ready      <none>   1s    v1.36.4\nb      NotReady   <none>   1s    v1.36.4\nc      Ready      <none>   1s    v1.36.3\n", "v1.36.4")
	g.Expect([]int{ready, all}).To(Equal([]int{1, 3}))
}

func TestNothingIsLeftOnceOnlyHostsAre(t *testing.T) {
	g := NewWithT(t)
	hosts := Picture{hosts: []capstanv1.HyperVHost{{ObjectMeta: object("", "hv1")}}}
	g.Expect(hosts.Empty()).To(BeTrue())
	hosts.machines = []clusterv1.Machine{{}}
	g.Expect(hosts.Empty()).To(BeFalse())
	g.Expect(whole().Empty()).To(BeFalse())
}

func TestAHostIsEmptyOnceItsVMsRunElsewhere(t *testing.T) {
	g := NewWithT(t)
	p := whole(func(p *Picture) {
		for i := range p.vms {
			p.vms[i].Status.Host = "hv2"
		}
	})
	g.Expect(p.Emptied("hv1")).To(BeTrue())
	g.Expect(p.Emptied("hv2")).To(BeFalse())
	p.vms[0].Status.Conditions = notReady
	g.Expect(p.Emptied("hv1")).To(BeFalse(), "nobody knows where it is")
}

func TestAHostIsWhatItSaysOfItself(t *testing.T) {
	g := NewWithT(t)
	p := Picture{hosts: []capstanv1.HyperVHost{{ObjectMeta: object("", "hv1")}, {ObjectMeta: object("", "hv2")}}}
	p.hosts[0].Status.Conditions, p.hosts[1].Status.Conditions = isReady, condition(metav1.ConditionFalse, "Unreachable", "no answer")
	g.Expect(p.Host("hv1").Status).To(Equal(metav1.ConditionTrue))
	g.Expect(p.Host("hv2").Reason).To(Equal("Unreachable"))
	g.Expect(p.Host("hv3").Status).To(Equal(metav1.ConditionUnknown), "there is none")
}

func TestTheHolderIsTheActiveVMOfThatClustersLoadBalancer(t *testing.T) {
	g := NewWithT(t)
	standby := capstanv1.LoadBalancerInstance{Name: "lb1", Role: string(lbapi.RoleStandby)}
	active := capstanv1.LoadBalancerInstance{Name: "lb2", Role: string(lbapi.RoleActive)}
	p := Picture{loadBalancers: []capstanv1.LoadBalancer{{ObjectMeta: object("lab", "shop")}, {ObjectMeta: object("default", "shop")}}}
	p.loadBalancers[0].Status.Instances = []capstanv1.LoadBalancerInstance{{Name: "other", Role: string(lbapi.RoleActive)}}
	p.loadBalancers[1].Status.Instances = []capstanv1.LoadBalancerInstance{standby, active}
	shop := client.ObjectKey{Namespace: "default", Name: "shop"}
	g.Expect(p.Holder(shop)).To(Equal("lb2"))
	g.Expect(p.Holder(client.ObjectKey{Namespace: "default", Name: "lab"})).To(BeEmpty(), "it has none")

	p.loadBalancers[1].Status.Instances = []capstanv1.LoadBalancerInstance{standby}
	g.Expect(p.Holder(shop)).To(BeEmpty(), "nobody holds it")
}

func TestNodesAreReadyByWhatTheirMachinesSay(t *testing.T) {
	g := NewWithT(t)
	ready, not := clusterv1.Machine{}, clusterv1.Machine{}
	ready.Status.Conditions = []metav1.Condition{{Type: clusterv1.MachineNodeReadyCondition, Status: metav1.ConditionTrue}}
	not.Status.Conditions = []metav1.Condition{{Type: clusterv1.MachineNodeReadyCondition, Status: metav1.ConditionUnknown}}
	g.Expect(Picture{machines: []clusterv1.Machine{ready, not, {}, ready}}.NodesReady()).To(Equal(2))
}
