package apply_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/translate"
)

func TestApply(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Apply")
}

var env *testenv.Env

var _ = BeforeSuite(func() { env = testenv.Start(GinkgoT()) })

// fixture is one namespace with an owner, and a client that counts writes.
type fixture struct {
	namespace string
	owner     *capstanv1.WorkloadCluster
	applier   *apply.Applier
	applies   int
}

func newFixture(ctx context.Context) *fixture {
	f := &fixture{namespace: env.Namespace(ctx, GinkgoT())}
	f.owner = testenv.NewWorkloadCluster(f.namespace, "shop")
	env.Create(ctx, f.owner)
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	Expect(err).NotTo(HaveOccurred())
	f.applier = &apply.Applier{Live: env.Client, Client: interceptor.NewClient(c, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			f.applies++
			return c.Apply(ctx, obj, opts...)
		},
	})}
	return f
}

func (f *fixture) configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: f.namespace, Name: "child", Labels: map[string]string{"ours": "yes"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: capstanv1.GroupVersion.String(), Kind: "WorkloadCluster", Name: "shop", UID: f.owner.UID}},
		},
		Data: data,
	}
}

func (f *fixture) apply(ctx context.Context, data map[string]string) (*corev1.ConfigMap, error) {
	current := &corev1.ConfigMap{}
	return current, f.applier.Object(ctx, f.owner, f.configMap(data), current)
}

func (f *fixture) stored(ctx context.Context) *corev1.ConfigMap {
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "child"}}
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(stored), stored)).To(Succeed())
	return stored
}

var _ = Describe("Applying a child", func() {
	It("makes it, and returns it as it is stored", func(ctx SpecContext) {
		f := newFixture(ctx)
		current, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		Expect(current.UID).To(Equal(f.stored(ctx).UID))
		Expect(current.Data).To(Equal(map[string]string{"a": "1"}))
	})

	It("writes nothing while it is in step", func(ctx SpecContext) {
		f := newFixture(ctx)
		for range 3 {
			_, err := f.apply(ctx, map[string]string{"a": "1"})
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(f.applies).To(Equal(1))
	})

	It("writes nothing when only others added something of their own", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		testenv.Update(ctx, env, f.stored(ctx), func(c *corev1.ConfigMap) {
			c.Data["theirs"] = "stays"
			c.Labels["theirs"] = "stays"
			c.OwnerReferences = append(c.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"})
		})
		_, err = f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		Expect(f.applies).To(Equal(1))

		By("and keeps it when it writes")
		current, err := f.apply(ctx, map[string]string{"a": "2"})
		Expect(err).NotTo(HaveOccurred())
		Expect(current.Data).To(Equal(map[string]string{"a": "2", "theirs": "stays"}))
		Expect(current.Labels).To(HaveKeyWithValue("theirs", "stays"))
		Expect(current.OwnerReferences).To(HaveLen(2))
	})

	It("removes a field that is no longer wanted", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1", "b": "2"})
		Expect(err).NotTo(HaveOccurred())
		current, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		Expect(current.Data).To(Equal(map[string]string{"a": "1"}))
	})

	It("repairs drift, in content and in metadata", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		for _, drift := range []func(*corev1.ConfigMap){
			func(c *corev1.ConfigMap) { c.Data["a"] = "changed" },
			func(c *corev1.ConfigMap) { delete(c.Data, "a") },
			func(c *corev1.ConfigMap) { c.Labels["ours"] = "no" },
			func(c *corev1.ConfigMap) { c.Annotations = nil },
		} {
			testenv.Update(ctx, env, f.stored(ctx), drift)
			current, err := f.apply(ctx, map[string]string{"a": "1"})
			Expect(err).NotTo(HaveOccurred())
			Expect(current.Data).To(Equal(map[string]string{"a": "1"}))
			Expect(current.Labels).To(Equal(map[string]string{"ours": "yes"}))
		}
	})

	It("refuses one that is not the owner's, and leaves it as it is", func(ctx SpecContext) {
		f := newFixture(ctx)
		foreign := f.configMap(map[string]string{"a": "foreign"})
		foreign.OwnerReferences[0].UID = "somebody-else"
		env.Create(ctx, foreign)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		var notOwned *apply.NotOwnedError
		Expect(err).To(BeAssignableToTypeOf(notOwned))
		Expect(err).To(MatchError(ContainSubstring("ConfigMap " + f.namespace + "/child exists and was not made for shop: it is left alone; choose another name")))
		Expect(f.applies).To(BeZero())
		Expect(f.stored(ctx).ResourceVersion).To(Equal(foreign.ResourceVersion))
	})

	It("does not take over what took the name while the cache still showed the child", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		stale := f.stored(ctx)
		Expect(env.Client.Delete(ctx, f.stored(ctx))).To(Succeed())
		foreign := f.configMap(map[string]string{"a": "foreign"})
		foreign.OwnerReferences = nil
		env.Create(ctx, foreign)

		f.applier.Client = interceptor.NewClient(f.applier.Client.(client.WithWatch), interceptor.Funcs{
			Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
				stale.DeepCopyInto(obj.(*corev1.ConfigMap))
				return nil
			},
		})
		_, err = f.apply(ctx, map[string]string{"a": "2"})
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "got %v", err)
		Expect(f.stored(ctx).Data).To(Equal(map[string]string{"a": "foreign"}))
	})

	It("leaves one alone that is being deleted", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		testenv.Update(ctx, env, f.stored(ctx), func(c *corev1.ConfigMap) { c.Finalizers = []string{"example.org/held"} })
		Expect(env.Client.Delete(ctx, f.stored(ctx))).To(Succeed())
		_, err = f.apply(ctx, map[string]string{"a": "2"})
		Expect(err).NotTo(HaveOccurred())
		Expect(f.applies).To(Equal(1))
		testenv.Update(ctx, env, f.stored(ctx), func(c *corev1.ConfigMap) { c.Finalizers = nil })
	})

	// What the server fills in must not look like drift, or every reconcile writes.
	It("is in step at once for every kind that a cluster and a pool are made of", func(ctx SpecContext) {
		f := newFixture(ctx)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(f.owner), f.owner)).To(Succeed())
		pool := testenv.NewNodePool(f.namespace, "shop-linux", "shop", func(p *capstanv1.NodePool) {
			p.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
			p.Spec.Labels = map[string]string{"tier": "web", "node-role.kubernetes.io/web": ""}
		})
		env.Create(ctx, pool)
		now := translate.InEffect{Version: testenv.Version, ControlPlaneImage: "linux", LoadBalancerImage: "linux"}
		controlPlane, template := translate.ControlPlane(f.owner, now)
		objects := translate.NodePool(f.owner, pool, testenv.Version, translate.NodeImage{Name: "linux"})
		for _, child := range []struct {
			owner  metav1.Object
			wanted client.Object
		}{
			{f.owner, translate.HyperVCluster(f.owner, now)}, {f.owner, template}, {f.owner, controlPlane}, {f.owner, translate.Cluster(f.owner)},
			{pool, objects.MachineTemplate}, {pool, objects.BootstrapConfig}, {pool, objects.Machines}, {pool, objects.HealthCheck},
		} {
			f.applies = 0
			for range 2 {
				current := child.wanted.DeepCopyObject().(client.Object)
				Expect(f.applier.Object(ctx, child.owner, child.wanted, current)).To(Succeed())
			}
			Expect(f.applies).To(Equal(1), "%T", child.wanted)
		}
	})
})

var _ = Describe("Deleting a child", func() {
	It("tells when it is gone", func(ctx SpecContext) {
		f := newFixture(ctx)
		_, err := f.apply(ctx, map[string]string{"a": "1"})
		Expect(err).NotTo(HaveOccurred())
		testenv.Update(ctx, env, f.stored(ctx), func(c *corev1.ConfigMap) { c.Finalizers = []string{"example.org/held"} })
		key := types.NamespacedName{Namespace: f.namespace, Name: "child"}
		for range 2 {
			gone, err := f.applier.Delete(ctx, f.owner, &corev1.ConfigMap{}, key)
			Expect(err).NotTo(HaveOccurred())
			Expect(gone).To(BeFalse(), "its finalizer holds it")
		}
		testenv.Update(ctx, env, f.stored(ctx), func(c *corev1.ConfigMap) { c.Finalizers = nil })
		gone, err := f.applier.Delete(ctx, f.owner, &corev1.ConfigMap{}, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(gone).To(BeTrue())
	})

	It("leaves what is not the owner's alone", func(ctx SpecContext) {
		f := newFixture(ctx)
		foreign := f.configMap(nil)
		foreign.OwnerReferences = nil
		env.Create(ctx, foreign)
		gone, err := f.applier.Delete(ctx, f.owner, &corev1.ConfigMap{}, client.ObjectKeyFromObject(foreign))
		Expect(err).NotTo(HaveOccurred())
		Expect(gone).To(BeTrue())
		Expect(f.stored(ctx).DeletionTimestamp).To(BeNil())
	})

	It("deletes the object that it looked at, and none that took its name since", func(ctx SpecContext) {
		f := newFixture(ctx)
		stale := f.configMap(nil)
		stale.UID = "of-one-that-is-gone"
		foreign := f.configMap(nil)
		foreign.OwnerReferences = nil
		env.Create(ctx, foreign)
		f.applier.Live = staleReader{stale}
		_, err := f.applier.Delete(ctx, f.owner, &corev1.ConfigMap{}, client.ObjectKeyFromObject(foreign))
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "got %v", err)
		Expect(f.stored(ctx).DeletionTimestamp).To(BeNil())
	})
})

// staleReader answers with an object that may be gone.
type staleReader struct{ answer *corev1.ConfigMap }

func (r staleReader) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	r.answer.DeepCopyInto(obj.(*corev1.ConfigMap))
	return nil
}

func (r staleReader) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
