package rollout_test

import (
	"context"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/nodepool"
	"github.com/capstan-k8s/capstan/internal/admission"
	"github.com/capstan-k8s/capstan/internal/capi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestRollouts(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Roll-outs of NodePools")
}

// These are the manager's own defaults.
const (
	quiet       = 3 * time.Second
	longestHold = 2 * time.Minute
)

// remote is how long the way into another cluster may take.
const remote = time.Minute

var (
	env      *testenv.Env
	events   testenv.Recorder
	observed = &observer{}
)

var _ = BeforeSuite(func(ctx SpecContext) {
	env = testenv.Start(GinkgoT(), testenv.WithWebhooks(GinkgoT()), testenv.WithClusterAPI(GinkgoT(), capi.AddToScheme, capi.ConfigureManager))
	env.RunManager(GinkgoT(), func(ctx context.Context, mgr manager.Manager) error {
		clusters, err := capi.SetupReconcilers(ctx, mgr, capi.Options{NewQueue: testenv.Controller().NewQueue, NewPromptQueue: testenv.Controller().NewQueue})
		if err != nil {
			return err
		}
		if err := capi.SetupWebhooks(mgr, clusters); err != nil {
			return err
		}
		if err := admission.SetupWebhooks(mgr); err != nil {
			return err
		}
		if err := observed.watch(ctx, mgr); err != nil {
			return err
		}
		r := &nodepool.Reconciler{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events, Clock: clock.RealClock{},
			RolloutQuietPeriod: quiet, RolloutLongestHold: longestHold,
		}
		return r.SetupWithManager(ctx, mgr, testenv.Controller())
	})
	env.Create(ctx, testenv.NewLogicalNetwork("lan"), testenv.NewVMImage("linux-136", testenv.Version))
})

type made struct{ sets, templates map[types.UID]bool }

// observer remembers what objects of today no longer tell.
type observer struct {
	mu sync.Mutex
	// made are the MachineSets and machine templates ever made, by namespace.
	made map[string]*made
	// replicas are the numbers that MachineDeployments went through, by namespace.
	replicas map[string][]int32
}

func (o *observer) watch(ctx context.Context, mgr manager.Manager) error {
	o.made, o.replicas = map[string]*made{}, map[string][]int32{}
	for _, kind := range []client.Object{&clusterv1.MachineSet{}, &infrav1.HyperVMachineTemplate{}, &clusterv1.MachineDeployment{}} {
		informer, err := mgr.GetCache().GetInformer(ctx, kind, nil...)
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: o.see, UpdateFunc: func(_, obj any) { o.see(obj) },
		}); err != nil {
			return err
		}
	}
	return nil
}

func (o *observer) see(obj any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch obj := obj.(type) {
	case *clusterv1.MachineSet:
		o.of(obj.Namespace).sets[obj.UID] = true
	case *infrav1.HyperVMachineTemplate:
		o.of(obj.Namespace).templates[obj.UID] = true
	case *clusterv1.MachineDeployment:
		seen := o.replicas[obj.Namespace]
		if obj.Spec.Replicas == nil {
			o.replicas[obj.Namespace] = append(seen, -1)
		} else if len(seen) == 0 || seen[len(seen)-1] != *obj.Spec.Replicas {
			o.replicas[obj.Namespace] = append(seen, *obj.Spec.Replicas)
		}
	}
}

// machineSets is how many MachineSets were ever made in a namespace: one, and one
// for each roll-out.
func (o *observer) machineSets(namespace string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.of(namespace).sets)
}

// templates is how many machine templates were ever made in a namespace.
func (o *observer) templates(namespace string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.of(namespace).templates)
}

// of must be called with the lock held.
func (o *observer) of(namespace string) *made {
	if o.made[namespace] == nil {
		o.made[namespace] = &made{sets: map[types.UID]bool{}, templates: map[types.UID]bool{}}
	}
	return o.made[namespace]
}

// numbers are those that the MachineDeployment of a namespace went through.
func (o *observer) numbers(namespace string) []int32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]int32(nil), o.replicas[namespace]...)
}

// begin makes a pool of a cluster whose control plane somebody else looks after,
// and waits for its machines.
func begin(ctx context.Context, with ...func(*capstanv1.NodePool)) *capstanv1.NodePool {
	GinkgoHelper()
	namespace := env.Namespace(ctx, GinkgoT())
	wlc := testenv.NewWorkloadCluster(namespace, "shop")
	infra := &infrav1.HyperVCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}, Spec: infrav1.HyperVClusterSpec{LogicalNetwork: "lan"}}
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}}
	cluster.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVCluster", Name: "shop"}
	env.Create(ctx, wlc, infra, cluster)
	testenv.UpdateStatus(ctx, env, wlc, func(c *capstanv1.WorkloadCluster) { c.Status.Version = testenv.Version })
	pool := testenv.NewNodePool(namespace, "shop-linux", "shop", with...)
	env.Create(ctx, pool)
	Eventually(func(g Gomega) {
		md := deploymentOf(ctx, g, pool)
		g.Expect(machinesOf(ctx, g, pool)).To(HaveLen(int(*md.Spec.Replicas)))
	}).WithContext(ctx).Should(Succeed())
	return pool
}

// needingNone lets roll-outs go on though no node ever becomes available.
func needingNone(p *capstanv1.NodePool) {
	p.Spec.Rollout.MaxUnavailable = ptr.To(intstr.FromString("100%"))
}

func deploymentOf(ctx context.Context, g Gomega, pool *capstanv1.NodePool) *clusterv1.MachineDeployment {
	md := &clusterv1.MachineDeployment{}
	g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(pool), md)).To(Succeed())
	return md
}

func machinesOf(ctx context.Context, g Gomega, pool *capstanv1.NodePool) []clusterv1.Machine {
	list := &clusterv1.MachineList{}
	g.Expect(env.Client.List(ctx, list, client.InNamespace(pool.Namespace), client.MatchingLabels{capstanv1.NodePoolLabel: pool.Name})).To(Succeed())
	return list.Items
}

// templateOf is the template that a machine was made from.
func templateOf(ctx context.Context, g Gomega, machine *clusterv1.Machine) string {
	infra := &infrav1.HyperVMachine{}
	g.Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: machine.Namespace, Name: machine.Spec.InfrastructureRef.Name}, infra)).To(Succeed())
	return infra.Annotations[clusterv1.TemplateClonedFromNameAnnotation]
}

// templatesOf are the machine templates that there are of a pool, and the
// processors that each gives.
func templatesOf(ctx context.Context, g Gomega, pool *capstanv1.NodePool) map[string]int32 {
	list := &infrav1.HyperVMachineTemplateList{}
	g.Expect(env.Client.List(ctx, list, client.InNamespace(pool.Namespace), client.MatchingLabels{capstanv1.NodePoolLabel: pool.Name})).To(Succeed())
	cpus := map[string]int32{}
	for i := range list.Items {
		cpus[list.Items[i].Name] = list.Items[i].Spec.Template.Spec.Size.CPUs
	}
	return cpus
}
