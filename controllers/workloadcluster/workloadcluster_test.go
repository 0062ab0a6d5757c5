package workloadcluster_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

const held = "example.org/held"

func hold(obj client.Object) { obj.SetFinalizers(append(obj.GetFinalizers(), held)) }

// release lets go of a child as Cluster API does when its own work is over.
func release(ctx context.Context, obj client.Object) {
	testenv.Update(ctx, env, obj, func(o client.Object) { o.SetFinalizers(nil) })
	env.ExpectGone(ctx, obj)
}

func templatesIn(ctx context.Context, namespace string) []string {
	list := &infrav1.HyperVMachineTemplateList{}
	Expect(env.Client.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	names := []string{}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

var _ = Describe("A WorkloadCluster", func() {
	It("becomes Cluster API's objects, and says what it waits for until it is Ready", func(ctx SpecContext) {
		s := newStory(ctx, testenv.WithControlPlane(3)).begin(ctx)
		Expect(s.wlc.UID).To(BeElementOf(s.cluster.OwnerReferences[0].UID))
		Expect(s.controlPlane.Spec.Version).To(Equal(testenv.Version))
		Expect(s.infra.Spec.LoadBalancer.Image).To(Equal("linux-136"))
		Expect(templatesIn(ctx, s.namespace)).To(ConsistOf(s.controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef.Name))

		health := s.healthCheck()
		testenv.Await(ctx, env, health)
		Expect(metav1.IsControlledBy(health, s.wlc)).To(BeTrue())

		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("waiting for the load balancer"))
		Expect(s.wlc.Finalizers).To(ContainElement(capstanv1.WorkloadClusterFinalizer))

		By("passing on what the load balancer waits for")
		testenv.UpdateStatus(ctx, env, s.infra, func(i *infrav1.HyperVCluster) {
			conditions.False(i, capstanv1.ReadyCondition, capstanv1.ReasonNetworkFull, "lan is full")
		})
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Equal("load balancer: lan is full"))

		s.infrastructureReady(ctx)
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane, Equal("control plane 0/3 at v1.36.3"))
		Eventually(testenv.Get(ctx, env, s.wlc)).WithContext(ctx).Should(HaveField("Status.Endpoint", Equal(&capstanv1.Endpoint{Host: "10.20.0.100", Port: 6443})))

		By("passing on what the first machine waits for")
		machine := &infrav1.HyperVMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop-control-plane-abcde", Labels: map[string]string{
				clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: "", capstanv1.WorkloadClusterLabel: "shop",
			}},
			Spec: infrav1.HyperVMachineSpec{Image: "linux-136", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}},
		}
		env.Create(ctx, machine)
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonOutOfCapacity, "no host has 4Gi of memory free")
		})
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane,
			Equal("control plane 0/3 at v1.36.3; shop-control-plane-abcde: no host has 4Gi of memory free"))

		By("telling that it cannot be repaired, until it is")
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonCannotRepair, "hv1 is lost; restore the cluster")
		})
		for _, condition := range []string{capstanv1.ControlPlaneReadyCondition, capstanv1.ReadyCondition} {
			env.ExpectCondition(ctx, s.wlc, condition, metav1.ConditionFalse, capstanv1.ReasonCannotRepair, ContainSubstring("shop-control-plane-abcde: hv1 is lost; restore the cluster"))
		}
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.Unknown(m, capstanv1.ReadyCondition, capstanv1.ReasonHostLost, "hv1 is lost")
		})
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane, ContainSubstring("hv1 is lost"))

		By("telling that its repair is held in an outage")
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.Unknown(m, capstanv1.ReadyCondition, capstanv1.ReasonRepairHeld, "2 of 3 hosts do not answer")
		})
		for _, condition := range []string{capstanv1.ControlPlaneReadyCondition, capstanv1.ReadyCondition} {
			env.ExpectCondition(ctx, s.wlc, condition, metav1.ConditionFalse, capstanv1.ReasonRepairHeld, ContainSubstring("shop-control-plane-abcde: 2 of 3 hosts do not answer"))
		}

		s.controlPlaneAt(ctx, testenv.Version)
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.True(m, capstanv1.ReadyCondition, capstanv1.ReasonReady, "it runs")
		})
		env.ExpectReady(ctx, s.wlc)
		Expect(s.wlc.Status.ControlPlane).To(Equal(&capstanv1.ReplicaCounts{Wanted: 3, Ready: 3, Summary: "3/3"}))
		Expect(s.wlc.Status.Nodes).To(Equal(&capstanv1.ReplicaCounts{Summary: "0/0"}))
		Expect(s.wlc.Status.Version).To(Equal(testenv.Version))
		Expect(s.wlc.Status.KubeconfigSecret).To(Equal("shop-kubeconfig"))
		Eventually(func() []string { return events.Reasons(s.wlc.UID) }).Should(Equal([]string{
			capstanv1.ReasonWaitingForLoadBalancer, capstanv1.ReasonWaitingForControlPlane,
			capstanv1.ReasonCannotRepair, capstanv1.ReasonWaitingForControlPlane, capstanv1.ReasonRepairHeld, capstanv1.ReasonReady,
		}), "one event per change of reason")

		By("telling that it cannot be repaired, though Cluster API says what it said last")
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonCannotRepair, "hv1 is lost; restore the cluster")
		})
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonCannotRepair, ContainSubstring("restore the cluster"))
	})

	It("lets what its Cluster refers to belong to it from the first moment, as Cluster API would", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		for _, obj := range []client.Object{s.infra, s.controlPlane} {
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
			Expect(util.HasExactOwnerRef(obj.GetOwnerReferences(), metav1.OwnerReference{
				APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: s.cluster.Name, UID: s.cluster.UID,
				Controller: ptr.To(false),
			})).To(BeTrue(), "%T", obj)
		}
	})

	It("never adopts a Cluster that is somebody else's, and makes nothing beside it", func(ctx SpecContext) {
		s := newStory(ctx)
		foreign := &clusterv1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"},
			Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "OtherCluster", Name: "shop",
			}},
		}
		env.Create(ctx, foreign, s.wlc)
		version := foreign.ResourceVersion
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonClusterNotOwned,
			And(ContainSubstring("Cluster "+s.namespace+"/shop exists and was not made for WorkloadCluster shop"), ContainSubstring("choose another name, or delete it")))
		for _, list := range []client.ObjectList{&infrav1.HyperVClusterList{}, &controlplanev1.KubeadmControlPlaneList{}, &infrav1.HyperVMachineTemplateList{}} {
			Expect(env.Client.List(ctx, list, client.InNamespace(s.namespace))).To(Succeed())
			Expect(list).To(HaveField("Items", BeEmpty()))
		}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))

		By("going without taking it along")
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed())
		env.ExpectGone(ctx, s.wlc)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	It("goes on by itself when the image it waits for is added", func(ctx SpecContext) {
		s := newStory(ctx, testenv.WithVersion("v1.35.11"))
		env.Create(ctx, s.wlc)
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonImageNotFound,
			Equal("spec.controlPlane.image: no VMImage has os Linux and kubernetesVersion v1.35.11: add one"))
		Expect(templatesIn(ctx, s.namespace)).To(BeEmpty())
		env.Create(ctx, testenv.NewVMImage("linux-13511", "v1.35.11"))
		s.expectChildren(ctx)
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Not(BeEmpty()))
		Eventually(func() []string { return events.Reasons(s.wlc.UID) }).Should(Equal([]string{capstanv1.ReasonImageNotFound, capstanv1.ReasonWaitingForLoadBalancer}))
	})

	It("repairs a child that was changed, and makes one again that was deleted", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		testenv.Update(ctx, env, s.infra, func(i *infrav1.HyperVCluster) { i.Spec.LoadBalancer.Image = "other" })
		Eventually(testenv.Get(ctx, env, s.infra)).WithContext(ctx).Should(HaveField("Spec.LoadBalancer.Image", "linux-136"))
		was := s.controlPlane.UID
		Expect(env.Client.Delete(ctx, s.controlPlane)).To(Succeed())
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("UID", Not(Equal(was))))
		was = testenv.Await(ctx, env, s.healthCheck()).UID
		Expect(env.Client.Delete(ctx, s.healthCheck())).To(Succeed())
		Eventually(testenv.Get(ctx, env, s.healthCheck())).WithContext(ctx).Should(HaveField("UID", Not(Equal(was))))
	})

	It("gives nothing more to a Cluster that somebody deletes, and makes it again once that is gone", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop")
		machines := &clusterv1.MachineDeployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop-linux"}}
		env.Create(ctx, pool)
		testenv.Await(ctx, env, machines)
		testenv.Update(ctx, env, client.Object(s.cluster), hold)
		Expect(env.Client.Delete(ctx, s.cluster)).To(Succeed())
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForCluster, ContainSubstring("Cluster shop is being deleted"))

		By("Cluster API deleting what belongs to it, while the specs change")
		Expect(env.Client.Delete(ctx, s.controlPlane)).To(Succeed())
		Expect(env.Client.Delete(ctx, machines)).To(Succeed())
		testenv.Update(ctx, env, s.wlc, func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.CPUs++ })
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Replicas = ptr.To[int32](5) })
		for _, obj := range []client.Object{s.wlc, pool} {
			Eventually(testenv.Get(ctx, env, obj)).WithContext(ctx).Should(HaveField("Status.ObservedGeneration", obj.GetGeneration()))
		}
		env.ExpectGone(ctx, s.controlPlane)
		env.ExpectGone(ctx, machines)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForWorkloadCluster,
			Equal("Cluster shop is being deleted: waiting for WorkloadCluster shop to make it again"))

		By("Cluster API being done")
		release(ctx, s.cluster)
		s.expectChildren(ctx)
		testenv.Await(ctx, env, machines)
	})

	It("rolls to a new template when the size changes, and drops the old one with its last machine", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		old := s.controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef.Name
		machine := &infrav1.HyperVMachine{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.namespace, Name: "shop-control-plane-abcde", Annotations: map[string]string{clusterv1.TemplateClonedFromNameAnnotation: old},
				Labels: map[string]string{clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: "", capstanv1.WorkloadClusterLabel: "shop"},
			},
			Spec: infrav1.HyperVMachineSpec{Image: "linux-136", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}},
		}
		env.Create(ctx, machine)
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonOutOfCapacity, "no host has room")
		})
		env.ExpectCondition(ctx, s.wlc, capstanv1.ControlPlaneReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane, HaveSuffix("no host has room"))
		testenv.Update(ctx, env, s.wlc, func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.CPUs = 8 })
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("Spec.MachineTemplate.Spec.InfrastructureRef.Name", Not(Equal(old))))
		now := s.controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef.Name
		Eventually(testenv.Get(ctx, env, s.wlc)).WithContext(ctx).Should(HaveField("Status.ObservedGeneration", s.wlc.Generation))
		Expect(templatesIn(ctx, s.namespace)).To(ConsistOf(old, now), "a machine was made from the old one")
		Expect(env.Client.Delete(ctx, machine)).To(Succeed())
		Eventually(func() []string { return templatesIn(ctx, s.namespace) }).WithContext(ctx).Should(ConsistOf(now))
	})

	It("counts the nodes of its pools, and is Ready only with them", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		s.infrastructureReady(ctx)
		s.controlPlaneAt(ctx, testenv.Version)
		env.ExpectReady(ctx, s.wlc)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop", testenv.WithReplicas(3))
		env.Create(ctx, pool, testenv.NewNodePool(s.namespace, "other", "other"))
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForNodePools, Equal("shop-linux 0/3 at v1.36.3"))
	})

	It("is not Ready for a new spec before its pools have seen it", func(ctx SpecContext) {
		s := newStory(ctx).begin(ctx)
		s.infrastructureReady(ctx)
		s.controlPlaneAt(ctx, testenv.Version)
		pool := testenv.NewNodePool(s.namespace, "shop-linux", "shop")
		env.Create(ctx, pool)
		md := deploymentOf(ctx, pool)
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, s.wlc)

		old := md.Spec.Template.Spec.InfrastructureRef.Name
		testenv.Update(ctx, env, s.wlc, func(c *capstanv1.WorkloadCluster) { c.Spec.NodePoolDefaults.Size.CPUs = 8 })
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForNodePools, HavePrefix("shop-linux"))
		Eventually(testenv.Get(ctx, env, md)).WithContext(ctx).Should(HaveField("Spec.Template.Spec.InfrastructureRef.Name", Not(Equal(old))))
		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, s.wlc)
	})
})

var _ = Describe("Deleting a WorkloadCluster", func() {
	It("takes the Cluster first, then what Cluster API left, and holds on until all is gone", func(ctx SpecContext) {
		s := newStory(ctx)
		vm := &capstanv1.VirtualMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop-lb-abcde", Labels: map[string]string{clusterv1.ClusterNameLabel: "shop"}},
			Spec: capstanv1.VirtualMachineSpec{
				ClusterName: "shop", Role: capstanv1.RoleLoadBalancer, Size: testenv.NewSize(2, "2Gi", "20Gi"), Image: "linux-136",
				Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}},
			},
		}
		env.Create(ctx, vm)
		s.begin(ctx)
		for _, child := range []client.Object{s.cluster, s.controlPlane, s.infra} {
			testenv.Update(ctx, env, child, hold)
		}
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForLoadBalancer, Not(BeEmpty()))
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed())
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonDeleting, Equal("waiting for 1 virtual machine: shop-lb-abcde"))
		Eventually(testenv.Get(ctx, env, s.cluster)).WithContext(ctx).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		for _, later := range []client.Object{s.controlPlane, s.infra} {
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(later), later)).To(Succeed())
			Expect(later.GetDeletionTimestamp()).To(BeNil(), "Cluster API keeps the order while it can")
		}
		env.ExpectGone(ctx, s.healthCheck())
		release(ctx, s.cluster)
		Eventually(testenv.Get(ctx, env, s.controlPlane)).WithContext(ctx).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.infra), s.infra)).To(Succeed())
		Expect(s.infra.DeletionTimestamp).To(BeNil())
		release(ctx, s.controlPlane)
		Eventually(testenv.Get(ctx, env, s.infra)).WithContext(ctx).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.wlc), s.wlc)).To(Succeed(), "it holds on")
		release(ctx, s.infra)
		env.ExpectGone(ctx, s.wlc)
		Expect(templatesIn(ctx, s.namespace)).To(BeEmpty())
		Eventually(func() []string { return events.Reasons(s.wlc.UID) }).Should(Equal([]string{capstanv1.ReasonWaitingForLoadBalancer, capstanv1.ReasonDeleting}))
	})

	It("is over at once when nothing was made", func(ctx SpecContext) {
		s := newStory(ctx, testenv.WithVersion("v1.33.3"))
		env.Create(ctx, s.wlc)
		env.ExpectCondition(ctx, s.wlc, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonImageNotFound, Not(BeEmpty()))
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed())
		env.ExpectGone(ctx, s.wlc)
	})
})
