package nodepool_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/nodepool"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestNodePool(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "NodePool controller")
}

var (
	env    *testenv.Env
	events testenv.Recorder
)

// The manager runs the NodePool controller alone: the specs write what the
// WorkloadCluster's controller and Cluster API would.
var _ = BeforeSuite(func(ctx SpecContext) {
	env = testenv.Start(GinkgoT())
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&nodepool.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events, Clock: clock.RealClock{}},
		}
	})
	env.Create(ctx, testenv.NewVMImage("linux-136", testenv.Version), testenv.NewVMImage("linux-137", "v1.37.0"))
})

type children struct {
	machines *clusterv1.MachineDeployment
	pool     *capstanv1.NodePool
	wlc      *capstanv1.WorkloadCluster
}

// begin makes a cluster at its version and a pool, and waits for what is made.
func begin(ctx context.Context, with ...func(*capstanv1.NodePool)) *children {
	namespace := env.Namespace(ctx, GinkgoT())
	c := &children{wlc: testenv.NewWorkloadCluster(namespace, "shop"), pool: testenv.NewNodePool(namespace, "shop-linux", "shop", with...)}
	env.Create(ctx, c.wlc)
	controlPlaneAt(ctx, c.wlc, testenv.Version)
	env.Create(ctx, c.pool)
	c.machines = deploymentOf(ctx, c.pool)
	return c
}

func controlPlaneAt(ctx context.Context, wlc *capstanv1.WorkloadCluster, version string) {
	testenv.UpdateStatus(ctx, env, wlc, func(c *capstanv1.WorkloadCluster) { c.Status.Version = version })
}

func deploymentOf(ctx context.Context, pool *capstanv1.NodePool) *clusterv1.MachineDeployment {
	GinkgoHelper()
	return testenv.Await(ctx, env, &clusterv1.MachineDeployment{ObjectMeta: metav1.ObjectMeta{Namespace: pool.Namespace, Name: pool.Name}})
}

// reconciled waits until the pool's status is of its present generation and its
// cluster's.
func (c *children) reconciled(ctx context.Context) {
	EventuallyWithOffset(1, func(g Gomega) {
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.wlc), c.wlc)).To(Succeed())
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.pool), c.pool)).To(Succeed())
		g.Expect(c.pool.Status.ObservedGeneration).To(Equal(c.pool.Generation))
		g.Expect(c.pool.Status.ObservedClusterGeneration).To(Equal(c.wlc.Generation))
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(c.machines), c.machines)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
}

func names(ctx context.Context, namespace string, list client.ObjectList) func() []string {
	return func() []string {
		Expect(env.Client.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		found := []string{}
		switch l := list.(type) {
		case *infrav1.HyperVMachineTemplateList:
			for i := range l.Items {
				found = append(found, l.Items[i].Name)
			}
		case *bootstrapv1.KubeadmConfigTemplateList:
			for i := range l.Items {
				found = append(found, l.Items[i].Name)
			}
		}
		return found
	}
}

func machineTemplate(md *clusterv1.MachineDeployment) string {
	return md.Spec.Template.Spec.InfrastructureRef.Name
}

var _ = Describe("A NodePool", func() {
	It("waits for its cluster, joins it and becomes Ready with its machines", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithReplicas(3))
		env.Create(ctx, pool)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForWorkloadCluster,
			Equal("waiting for WorkloadCluster shop to be made in namespace "+namespace))
		wlc := testenv.NewWorkloadCluster(namespace, "shop")
		env.Create(ctx, wlc)
		controlPlaneAt(ctx, wlc, testenv.Version)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForMachines, Equal("0 of 3 nodes ready"))
		Expect(pool.OwnerReferences).To(ConsistOf(HaveField("UID", wlc.UID)), "it goes when its cluster goes")
		md := deploymentOf(ctx, pool)
		Expect(metav1.IsControlledBy(md, pool)).To(BeTrue())
		health := &clusterv1.MachineHealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux"}}
		Eventually(testenv.Get(ctx, env, health)).WithContext(ctx).Should(HaveField("Spec.ClusterName", "shop"))

		By("passing on what a machine waits for")
		machine := &infrav1.HyperVMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux-1", Labels: md.Spec.Template.Labels},
			Spec:       infrav1.HyperVMachineSpec{Image: "linux-136", Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}},
		}
		env.Create(ctx, machine)
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.False(m, capstanv1.ReadyCondition, capstanv1.ReasonNetworkFull, "lan is full")
		})
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForMachines, Equal("0 of 3 nodes ready; shop-linux-1: lan is full"))

		By("telling that the repair of a machine is held in an outage")
		testenv.UpdateStatus(ctx, env, machine, func(m *infrav1.HyperVMachine) {
			conditions.Unknown(m, capstanv1.ReadyCondition, capstanv1.ReasonRepairHeld, "2 of 3 hosts do not answer")
		})
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonRepairHeld, Equal("0 of 3 nodes ready; shop-linux-1: 2 of 3 hosts do not answer"))

		testenv.SettleMachines(ctx, env, md)
		env.ExpectReady(ctx, pool)
		Expect(pool.Status).To(And(HaveField("Replicas", int32(3)), HaveField("ReadyReplicas", int32(3)), HaveField("Version", testenv.Version)))
		Expect(pool.Status.Selector).To(ContainSubstring(capstanv1.NodePoolLabel + "=shop-linux"))
		Eventually(func() []string { return events.Reasons(pool.UID) }).Should(Equal([]string{
			capstanv1.ReasonWaitingForWorkloadCluster, capstanv1.ReasonWaitingForMachines, capstanv1.ReasonRepairHeld, capstanv1.ReasonReady,
		}))
	})

	It("joins the cluster that was made again under the name", func(ctx SpecContext) {
		c := begin(ctx)
		c.reconciled(ctx)
		Expect(env.Client.Delete(ctx, c.wlc)).To(Succeed())
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForWorkloadCluster, Not(BeEmpty()))
		again := testenv.NewWorkloadCluster(c.wlc.Namespace, "shop")
		env.Create(ctx, again)
		Eventually(testenv.Get(ctx, env, c.pool)).WithContext(ctx).Should(HaveField("OwnerReferences", ConsistOf(HaveField("UID", again.UID))))
	})

	It("that is scaled changes replicas and nothing else", func(ctx SpecContext) {
		c := begin(ctx)
		c.reconciled(ctx)
		before := c.machines.DeepCopy()
		testenv.Update(ctx, env, c.pool, testenv.WithReplicas(3))
		Eventually(testenv.Get(ctx, env, c.machines)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(3)))))
		before.Spec.Replicas = ptr.To[int32](3)
		Expect(c.machines.Spec).To(Equal(before.Spec))
		Expect(names(ctx, c.pool.Namespace, &infrav1.HyperVMachineTemplateList{})()).To(ConsistOf(machineTemplate(before)))
	})

	It("of another size rolls to a new template, and drops the old one with the last MachineSet", func(ctx SpecContext) {
		c := begin(ctx)
		old, config := machineTemplate(c.machines), c.machines.Spec.Template.Spec.Bootstrap.ConfigRef.Name
		set := &clusterv1.MachineSet{ObjectMeta: metav1.ObjectMeta{Namespace: c.pool.Namespace, Name: "old", Labels: c.machines.Spec.Template.Labels}}
		set.Spec = clusterv1.MachineSetSpec{ClusterName: "shop", Selector: c.machines.Spec.Selector, Template: c.machines.Spec.Template}
		env.Create(ctx, set)
		testenv.Update(ctx, env, c.pool, testenv.WithSize(testenv.NewSize(8, "16Gi", "40Gi")))
		Eventually(testenv.Get(ctx, env, c.machines)).WithContext(ctx).Should(WithTransform(machineTemplate, Not(Equal(old))))
		c.reconciled(ctx)
		templates := names(ctx, c.pool.Namespace, &infrav1.HyperVMachineTemplateList{})
		Expect(templates()).To(ConsistOf(old, machineTemplate(c.machines)), "a MachineSet still refers to it")
		Expect(env.Client.Delete(ctx, set)).To(Succeed())
		Eventually(templates).WithContext(ctx).Should(ConsistOf(machineTemplate(c.machines)))
		Expect(names(ctx, c.pool.Namespace, &bootstrapv1.KubeadmConfigTemplateList{})()).To(ConsistOf(config), "what did not change stays")
	})

	It("stays at its version until every control-plane machine has the new one", func(ctx SpecContext) {
		c := begin(ctx)
		testenv.SettleMachines(ctx, env, c.machines)
		env.ExpectReady(ctx, c.pool)
		old := machineTemplate(c.machines)
		testenv.Update(ctx, env, c.wlc, testenv.WithVersion("v1.37.0"))
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane,
			Equal("1 node ready at v1.36.3; waiting for the control plane to be at v1.37.0"))
		c.reconciled(ctx)
		Expect(c.machines.Spec.Template.Spec.Version).To(Equal(testenv.Version))
		Expect(machineTemplate(c.machines)).To(Equal(old))

		controlPlaneAt(ctx, c.wlc, "v1.37.0")
		Eventually(testenv.Get(ctx, env, c.machines)).WithContext(ctx).Should(HaveField("Spec.Template.Spec.Version", "v1.37.0"))
		Expect(machineTemplate(c.machines)).NotTo(Equal(old), "the image is another")
		testenv.SettleMachines(ctx, env, c.machines)
		env.ExpectReady(ctx, c.pool)
	})

	It("that is made during an upgrade begins at the version that the control plane has", func(ctx SpecContext) {
		c := begin(ctx)
		testenv.SettleMachines(ctx, env, c.machines)
		env.ExpectReady(ctx, c.pool)
		testenv.Update(ctx, env, c.wlc, testenv.WithVersion("v1.37.0"))
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane, Not(BeEmpty()))
		late := testenv.NewNodePool(c.wlc.Namespace, "shop-late", "shop")
		env.Create(ctx, late)
		Expect(deploymentOf(ctx, late).Spec.Template.Spec.Version).To(Equal(testenv.Version))
	})

	It("that names its image is upgraded when it names the next, before or after the control plane", func(ctx SpecContext) {
		c := begin(ctx, testenv.WithImage("linux-136"))
		testenv.SettleMachines(ctx, env, c.machines)
		env.ExpectReady(ctx, c.pool)
		old := machineTemplate(c.machines)
		testenv.Update(ctx, env, c.wlc, testenv.WithVersion("v1.37.0"))
		testenv.Update(ctx, env, c.pool, testenv.WithImage("linux-137"))
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForControlPlane, Not(BeEmpty()))
		c.reconciled(ctx)
		Expect(machineTemplate(c.machines)).To(Equal(old), "the nodes keep theirs meanwhile")

		By("forgetting it again")
		testenv.Update(ctx, env, c.pool, testenv.WithImage("linux-136"))
		controlPlaneAt(ctx, c.wlc, "v1.37.0")
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonImageNotFound,
			Equal("spec.image: VMImage linux-136 has os Linux and kubernetesVersion v1.36.3, but os Linux and kubernetesVersion v1.37.0 are needed: name another image"))
		testenv.Update(ctx, env, c.pool, testenv.WithImage("linux-137"))
		Eventually(testenv.Get(ctx, env, c.machines)).WithContext(ctx).Should(HaveField("Spec.Template.Spec.Version", "v1.37.0"))
	})

	It("does not adopt a MachineDeployment that is somebody else's", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		foreign := &clusterv1.MachineDeployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux"}}
		foreign.Spec = clusterv1.MachineDeploymentSpec{ClusterName: "other", Replicas: ptr.To[int32](7), Selector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
		foreign.Spec.Template.Labels = map[string]string{"a": "b"}
		foreign.Spec.Template.Spec = clusterv1.MachineSpec{
			ClusterName:       "other",
			Bootstrap:         clusterv1.Bootstrap{DataSecretName: ptr.To("data")},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVMachineTemplate", Name: "t"},
		}
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		env.Create(ctx, foreign, testenv.NewWorkloadCluster(namespace, "shop"), pool)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonConflict, ContainSubstring("MachineDeployment "+namespace+"/shop-linux exists and was not made for shop-linux"))
		version := foreign.ResourceVersion
		Expect(env.Client.Delete(ctx, pool)).To(Succeed())
		env.ExpectGone(ctx, pool)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	// Cluster API's admission, which fills the number in, is not there.
	It("with autoscaling begins with the least, and keeps what it has when that begins later", func(ctx SpecContext) {
		between := func(p *capstanv1.NodePool) {
			p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: 2, Max: 5}
		}
		c := begin(ctx, between)
		Eventually(testenv.Get(ctx, env, c.machines)).WithContext(ctx).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(2)))))
		later := begin(ctx, testenv.WithReplicas(4))
		testenv.Update(ctx, env, later.pool, between)
		later.reconciled(ctx)
		Expect(later.machines.Spec.Replicas).To(HaveValue(Equal(int32(4))))
		Expect(later.pool.Status.WantedReplicas).To(Equal(int32(4)))
	})

	It("is held until its machines are gone, and leaves nothing", func(ctx SpecContext) {
		c := begin(ctx, testenv.WithReplicas(2))
		health := &clusterv1.MachineHealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: c.pool.Namespace, Name: c.pool.Name}}
		testenv.Await(ctx, env, health)
		testenv.Update(ctx, env, c.machines, func(md *clusterv1.MachineDeployment) { md.Finalizers = []string{"example.org/held"} })
		testenv.SettleMachines(ctx, env, c.machines)
		Expect(env.Client.Delete(ctx, c.pool)).To(Succeed())
		env.ExpectCondition(ctx, c.pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonDeleting, Equal("waiting for 2 machines to go"))
		env.ExpectGone(ctx, health)
		testenv.Update(ctx, env, c.machines, func(md *clusterv1.MachineDeployment) { md.Finalizers = nil })
		env.ExpectGone(ctx, c.pool)
		Expect(names(ctx, c.pool.Namespace, &infrav1.HyperVMachineTemplateList{})()).To(BeEmpty())
		Expect(names(ctx, c.pool.Namespace, &bootstrapv1.KubeadmConfigTemplateList{})()).To(BeEmpty())
	})

	It("that never had a cluster goes at once", func(ctx SpecContext) {
		pool := testenv.NewNodePool(env.Namespace(ctx, GinkgoT()), "shop-linux", "never")
		env.Create(ctx, pool)
		env.ExpectCondition(ctx, pool, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonWaitingForWorkloadCluster, Not(BeEmpty()))
		Expect(env.Client.Delete(ctx, pool)).To(Succeed())
		env.ExpectGone(ctx, pool)
	})
})
