package workloadcluster

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAPoolsProgressSaysWhatItWaitsFor(t *testing.T) {
	waiting := infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Name: "shop-linux-a", Labels: map[string]string{capstanv1.NodePoolLabel: "shop-linux"}}}
	conditions.False(&waiting, capstanv1.ReadyCondition, capstanv1.ReasonOutOfCapacity, "no host has room")
	for name, tc := range map[string]struct {
		says  string
		infra []infrav1.HyperVMachine
		want  string
	}{
		"nothing is known":            {says: "2 of 4 nodes ready", want: "0/4 at v1.35.2"},
		"a machine waits":             {says: "2 of 4 nodes ready", infra: []infrav1.HyperVMachine{waiting}, want: "0/4 at v1.35.2; shop-linux-a: no host has room"},
		"the pool knows why":          {says: "2 of 4 nodes ready; at v1.35.2 none can be added", want: "0/4 at v1.35.2; at v1.35.2 none can be added"},
		"the pool knows of a machine": {says: "2 of 4 nodes ready; shop-linux-a: no host has room", infra: []infrav1.HyperVMachine{waiting}, want: "0/4 at v1.35.2; shop-linux-a: no host has room"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := capstanv1.NodePool{
				ObjectMeta: metav1.ObjectMeta{Name: "shop-linux"},
				Spec:       capstanv1.NodePoolSpec{Replicas: ptr.To[int32](4)}, Status: capstanv1.NodePoolStatus{Version: "v1.35.2"},
			}
			conditions.False(&pool, capstanv1.ReadyCondition, capstanv1.ReasonWaitingForMachines, "%s", tc.says)
			NewWithT(t).Expect(poolProgress(&pool, nil, tc.infra)).To(Equal(tc.want))
		})
	}
}

func TestWhatSeveralPoolsWaitForIsToldOnce(t *testing.T) {
	g := NewWithT(t)
	pool := func(name, reason, says string) capstanv1.NodePool {
		p := capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: capstanv1.NodePoolStatus{Version: "v1.36.3"}}
		conditions.False(&p, capstanv1.ReadyCondition, reason, "%s", says)
		return p
	}
	const missing = "spec.image: no VMImage has os Linux and kubernetesVersion v1.36.4: add one"
	s := &scope{wlc: &capstanv1.WorkloadCluster{}, version: versionPlan{effective: "v1.36.3"}, pools: []capstanv1.NodePool{
		pool("shop-a", capstanv1.ReasonImageNotFound, missing),
		pool("shop-b", capstanv1.ReasonWaitingForMachines, "0 of 1 nodes ready; no room"),
		pool("shop-c", capstanv1.ReasonImageNotFound, missing),
		{ObjectMeta: metav1.ObjectMeta{Name: "shop-d"}},
	}}
	setNodePools(s)
	g.Expect(conditions.Get(s.wlc, capstanv1.NodePoolsReadyCondition).Message).To(Equal(
		"shop-a, shop-c: " + missing + "; shop-b 0/1 at v1.36.3; no room; shop-d: not looked at yet"))
}

func TestTheLoadBalancerIsNamedOnce(t *testing.T) {
	g := NewWithT(t)
	g.Expect(ofLoadBalancer("waiting for the load balancer")).To(Equal("waiting for the load balancer"))
	g.Expect(ofLoadBalancer("LoadBalancer shop belongs to somebody else")).To(Equal("LoadBalancer shop belongs to somebody else"))
	g.Expect(ofLoadBalancer("waiting for the VIP")).To(Equal("load balancer: waiting for the VIP"))
}

func TestAPoolThatHasNotSeenTheSpecIsNotReadyForIt(t *testing.T) {
	g := NewWithT(t)
	pool := capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "shop-linux"}}
	conditions.True(&pool, capstanv1.ReadyCondition, capstanv1.ReasonReady, "1 node ready")
	pool.Status.ObservedClusterGeneration = 1
	s := &scope{wlc: &capstanv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Generation: 2}}, pools: []capstanv1.NodePool{pool}}
	setNodePools(s)
	g.Expect(conditions.Get(s.wlc, capstanv1.NodePoolsReadyCondition)).To(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Message", "shop-linux: not looked at yet")))
	s.pools[0].Status.ObservedClusterGeneration = 2
	setNodePools(s)
	g.Expect(conditions.IsTrue(s.wlc, capstanv1.NodePoolsReadyCondition)).To(BeTrue())
}
