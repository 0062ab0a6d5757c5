package addon_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/workloadapi"
)

// site is a WorkloadCluster in a namespace of its own, and its workload cluster.
type site struct {
	namespace string
	wlc       *capstanv1.WorkloadCluster
	// Client reaches the workload cluster.
	client.Client
}

type cluster = capstanv1.WorkloadCluster

// newSite makes a cluster with an API server that can be reached, of the kind that
// simulated clusters have.
func newSite(ctx context.Context, with ...func(*cluster)) *site {
	GinkgoHelper()
	s := unreachable(ctx, with...)
	s.connect(simulatedAPI())
	return s
}

// newRealSite likewise makes one whose API server is the real one that the suite has.
func newRealSite(ctx context.Context, with ...func(*cluster)) *site {
	GinkgoHelper()
	s := unreachable(ctx, with...)
	c, err := client.New(env.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	s.connect(c)
	return s
}

// unreachable makes a cluster that cannot be reached yet.
func unreachable(ctx context.Context, with ...func(*cluster)) *site {
	GinkgoHelper()
	s := &site{namespace: env.Namespace(ctx, GinkgoT())}
	s.wlc = testenv.NewWorkloadCluster(s.namespace, "shop", with...)
	env.Create(ctx, s.wlc)
	s.makeCluster(ctx)
	return s
}

// makeCluster makes the Cluster of the WorkloadCluster.
func (s *site) makeCluster(ctx context.Context) {
	GinkgoHelper()
	owner := metav1.NewControllerRef(s.wlc, capstanv1.GroupVersion.WithKind("WorkloadCluster"))
	env.Create(ctx, &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop", OwnerReferences: []metav1.OwnerReference{*owner}},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVCluster", Name: "shop",
		}},
	})
}

func (s *site) connect(to client.Client) {
	s.Client = to
	remote.set(client.ObjectKeyFromObject(s.wlc), to)
	DeferCleanup(func() { remote.set(client.ObjectKeyFromObject(s.wlc), nil) })
}

// simulatedAPI starts an API server as simulated guests have it.
func simulatedAPI() client.Client {
	GinkgoHelper()
	c, err := client.New(workloadapi.Start(GinkgoTB(), "default", "kube-system"), client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// manifests makes, or replaces, a ConfigMap with one file.
func (s *site) manifests(ctx context.Context, name, text string) {
	GinkgoHelper()
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	_ = env.Client.Delete(ctx, configMap.DeepCopy())
	configMap.Data = map[string]string{"all.yaml": text}
	env.Create(ctx, configMap)
}

// rewrite changes the file of a ConfigMap.
func (s *site) rewrite(ctx context.Context, name, text string) {
	GinkgoHelper()
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	testenv.Update(ctx, env, configMap, func(c *corev1.ConfigMap) { c.Data = map[string]string{"all.yaml": text} })
}

// expectAddon waits until an addon is told to be so, for the present spec.
func (s *site) expectAddon(ctx context.Context, name string, status metav1.ConditionStatus, reason, message string) *capstanv1.AddonStatus {
	GinkgoHelper()
	var found *capstanv1.AddonStatus
	Eventually(func(g Gomega) {
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.wlc), s.wlc)).To(Succeed())
		found = nil
		for i := range s.wlc.Status.Addons {
			if s.wlc.Status.Addons[i].Name == name {
				found = &s.wlc.Status.Addons[i]
			}
		}
		g.Expect(found).NotTo(BeNil())
		g.Expect(found.Conditions).To(ConsistOf(And(
			HaveField("Type", "Ready"), HaveField("Status", status), HaveField("Reason", reason),
			HaveField("Message", ContainSubstring(message)), HaveField("ObservedGeneration", s.wlc.Generation),
		)))
	}).WithContext(ctx).Should(Succeed())
	return found
}

// expectNoAddons waits until nothing is told of addons any more.
func (s *site) expectNoAddons(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.wlc), s.wlc)).To(Succeed())
		g.Expect(s.wlc.Status.Addons).To(BeEmpty())
		g.Expect(s.wlc.Status.Conditions).NotTo(ContainElement(HaveField("Type", capstanv1.AddonsReadyCondition)))
	}).WithContext(ctx).Should(Succeed())
}

// has tells whether the workload cluster has an object.
func (s *site) has(ctx context.Context, obj client.Object) func() (bool, error) {
	return func() (bool, error) {
		err := s.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return err == nil, client.IgnoreNotFound(err)
	}
}

// withManifests adds addons that have one ConfigMap each, of their names.
func withManifests(names ...string) func(*cluster) {
	return func(c *cluster) {
		c.Spec.Addons.Manifests = nil
		for _, name := range names {
			c.Spec.Addons.Manifests = append(c.Spec.Addons.Manifests, capstanv1.AddonManifests{
				Name: name, ConfigMapRefs: []capstanv1.ConfigMapReference{{Name: name}},
			})
		}
	}
}

func withFlannel(c *cluster) { c.Spec.Addons.CNI.Name = capstanv1.CNIFlannel }

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}
