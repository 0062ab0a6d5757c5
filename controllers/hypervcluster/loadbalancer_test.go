package hypervcluster

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestALoadBalancerIsWhatItsClusterSays(t *testing.T) {
	g := NewWithT(t)
	infra := &infrav1.HyperVCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"},
		Spec: infrav1.HyperVClusterSpec{LogicalNetwork: "lan", LoadBalancer: &infrav1.LoadBalancer{
			LoadBalancerSettings: capstanv1.LoadBalancerSettings{
				Replicas: ptr.To[int32](3), Size: capstanv1.MachineSize{CPUs: 4}, Image: "linux", MaxServiceVIPs: ptr.To[int32](10),
			},
			Port: 8443,
		}},
	}
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	g.Expect(loadBalancer(infra, cluster).Spec).To(Equal(capstanv1.LoadBalancerSpec{
		ClusterName: "shop", LogicalNetwork: "lan", Replicas: ptr.To[int32](3), Size: capstanv1.MachineSize{CPUs: 4}, Image: "linux",
		APIServerPort: 8443, MaxServiceVIPs: ptr.To[int32](10),
	}))
	infra.Spec.LoadBalancer.Replicas, infra.Spec.LoadBalancer.MaxServiceVIPs = nil, nil
	wanted := loadBalancer(infra, cluster).Spec
	g.Expect(*wanted.Replicas).To(BeEquivalentTo(2))
	g.Expect(wanted.MaxServiceVIPs).To(BeNil(), "there is no bound by default")
}
