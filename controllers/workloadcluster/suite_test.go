package workloadcluster_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/nodepool"
	"github.com/capstan-k8s/capstan/controllers/workloadcluster"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestWorkloadCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "WorkloadCluster controller")
}

var (
	env    *testenv.Env
	events testenv.Recorder
)

// The manager runs the controllers of both faces of the product. Cluster API's
// part is played by the specs.
var _ = BeforeSuite(func(ctx SpecContext) {
	env = testenv.Start(GinkgoT())
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&workloadcluster.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events},
			&nodepool.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events, Clock: clock.RealClock{}},
		}
	})
	env.Create(ctx, testenv.NewVMImage("linux-136", testenv.Version), testenv.NewVMImage("linux-137", "v1.37.0"))
})

// story is one cluster in a namespace of its own, and what Cluster API would do to
// its children.
type story struct {
	namespace    string
	wlc          *capstanv1.WorkloadCluster
	cluster      *clusterv1.Cluster
	infra        *infrav1.HyperVCluster
	controlPlane *controlplanev1.KubeadmControlPlane
}

func newStory(ctx context.Context, with ...func(*capstanv1.WorkloadCluster)) *story {
	namespace := env.Namespace(ctx, GinkgoT())
	of := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	return &story{
		namespace:    namespace,
		wlc:          testenv.NewWorkloadCluster(namespace, "shop", with...),
		cluster:      &clusterv1.Cluster{ObjectMeta: of("shop")},
		infra:        &infrav1.HyperVCluster{ObjectMeta: of("shop")},
		controlPlane: &controlplanev1.KubeadmControlPlane{ObjectMeta: of("shop-control-plane")},
	}
}

// healthCheck is that of the control plane.
func (s *story) healthCheck() *clusterv1.MachineHealthCheck {
	return &clusterv1.MachineHealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.controlPlane.Name}}
}

// begin makes the WorkloadCluster and waits for its children.
func (s *story) begin(ctx context.Context) *story {
	env.Create(ctx, s.wlc)
	s.expectChildren(ctx)
	return s
}

func (s *story) expectChildren(ctx context.Context) {
	GinkgoHelper()
	for _, child := range []client.Object{s.infra, s.controlPlane, s.cluster} {
		testenv.Await(ctx, env, child)
	}
}

// infrastructureReady is what the HyperVCluster controller and Cluster API tell
// once the VIP is carried.
func (s *story) infrastructureReady(ctx context.Context) {
	endpoint := clusterv1.APIEndpoint{Host: "10.20.0.100", Port: 6443}
	testenv.Update(ctx, env, s.infra, func(i *infrav1.HyperVCluster) { i.Spec.ControlPlaneEndpoint = endpoint })
	testenv.UpdateStatus(ctx, env, s.infra, func(i *infrav1.HyperVCluster) {
		i.Status.ObservedGeneration = i.Generation
		conditions.True(i, capstanv1.ReadyCondition, capstanv1.ReasonReady, "")
	})
	testenv.Update(ctx, env, s.cluster, func(c *clusterv1.Cluster) { c.Spec.ControlPlaneEndpoint = endpoint })
}

// controlPlaneAt is what the KubeadmControlPlane controller tells once all members
// run a version.
func (s *story) controlPlaneAt(ctx context.Context, version string) {
	testenv.UpdateStatus(ctx, env, s.controlPlane, func(k *controlplanev1.KubeadmControlPlane) {
		all := *k.Spec.Replicas
		k.Status.ObservedGeneration = k.Generation
		k.Status.Versions = []clusterv1.StatusVersion{{Version: version, Replicas: all}}
		k.Status.Replicas, k.Status.ReadyReplicas, k.Status.UpToDateReplicas = ptr.To(all), ptr.To(all), ptr.To(all)
		k.Status.Initialization.ControlPlaneInitialized = ptr.To(true)
		k.Status.Conditions = []metav1.Condition{{
			Type: controlplanev1.KubeadmControlPlaneAvailableCondition, Status: metav1.ConditionTrue, Reason: "Available", LastTransitionTime: metav1.Now(),
		}}
	})
}

func deploymentOf(ctx context.Context, pool *capstanv1.NodePool) *clusterv1.MachineDeployment {
	GinkgoHelper()
	return testenv.Await(ctx, env, &clusterv1.MachineDeployment{ObjectMeta: metav1.ObjectMeta{Namespace: pool.Namespace, Name: pool.Name}})
}
