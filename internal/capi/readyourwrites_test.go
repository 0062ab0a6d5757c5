package capi

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// laggingCache shows what the API server has only after it was asked some times.
type laggingCache struct {
	client.Reader
	lag   int64
	asked atomic.Int64
	// before is what it shows until then: NotFound if nil.
	before client.Object
}

func (c *laggingCache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if c.asked.Add(1) > c.lag {
		return c.Reader.Get(ctx, key, obj, opts...)
	}
	if c.before == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "machines"}, key.Name)
	}
	shown, ok := obj.(*clusterv1.Machine)
	if !ok {
		return apierrors.NewBadRequest("not a Machine")
	}
	c.before.(*clusterv1.Machine).DeepCopyInto(shown)
	return nil
}

func newWorld(t *testing.T, lag int64, there ...client.Object) (*readYourWrites, *laggingCache) {
	t.Helper()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(corev1.AddToScheme(scheme)).To(Succeed())
	NewWithT(t).Expect(AddToScheme(scheme)).To(Succeed())
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(there...).Build()
	cache := &laggingCache{Reader: api, lag: lag}
	return &readYourWrites{Client: api, cache: cache, applied: newApplied()}, cache
}

func newMachine(name string) *clusterv1.Machine {
	return &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: []string{"test/hold"}}}
}

func TestWritesReturnOnceTheCacheHasThem(t *testing.T) {
	const lag = 7
	for name, write := range map[string]func(context.Context, client.Client, *clusterv1.Machine) error{
		"update": func(ctx context.Context, c client.Client, m *clusterv1.Machine) error {
			m.Spec.ProviderID = "x"
			return c.Update(ctx, m)
		},
		"patch": func(ctx context.Context, c client.Client, m *clusterv1.Machine) error {
			before := m.DeepCopy()
			m.Spec.ProviderID = "x"
			return c.Patch(ctx, m, client.MergeFrom(before))
		},
		"delete": func(ctx context.Context, c client.Client, m *clusterv1.Machine) error { return c.Delete(ctx, m) },
	} {
		t.Run(name, func(t *testing.T) {
			g, ctx := NewWithT(t), t.Context()
			c, cache := newWorld(t, lag, newMachine("m"))
			m := &clusterv1.Machine{}
			g.Expect(c.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "m"}, m)).To(Succeed())
			cache.before = m.DeepCopy()
			g.Expect(write(ctx, c, m)).To(Succeed())
			g.Expect(cache.asked.Load()).To(BeNumerically("==", lag+1), "it waited, and no longer than it had to")
		})
	}
}

func TestAMadeMachineIsInTheCacheWhenTheCallReturns(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	c, cache := newWorld(t, 5)
	g.Expect(c.Create(ctx, newMachine("made"))).To(Succeed())
	g.Expect(cache.asked.Load()).To(BeNumerically("==", 6))

	cache.asked.Store(0)
	applied := &unstructured.Unstructured{}
	applied.SetGroupVersionKind(clusterv1.GroupVersion.WithKind("Machine"))
	applied.SetNamespace("default")
	applied.SetName("applied")
	g.Expect(c.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("test"))).To(Succeed())
	g.Expect(cache.asked.Load()).To(BeNumerically("==", 6))
}

func TestRemovingTheLastFinalizerDoesNotWaitForWhatIsGone(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	c, cache := newWorld(t, 0, newMachine("m"))
	m := newMachine("m")
	g.Expect(c.Delete(ctx, m)).To(Succeed())
	g.Expect(c.Client.Get(ctx, client.ObjectKeyFromObject(m), m)).To(Succeed())
	cache.asked.Store(0)
	before := m.DeepCopy()
	m.Finalizers = nil
	g.Expect(c.Patch(ctx, m, client.MergeFrom(before))).To(Succeed())
	g.Expect(cache.asked.Load()).To(BeNumerically("==", 1))
}

func TestOtherKindsAndDryRunsAreNotWaitedFor(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	c, cache := newWorld(t, 1<<40)
	g.Expect(c.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}})).To(Succeed())
	g.Expect(c.Create(ctx, newMachine("m"), client.DryRunAll)).To(Succeed())
	g.Expect(cache.asked.Load()).To(BeZero())
}

func TestACacheThatNeverCatchesUpFailsTheRoundByItsDeadline(t *testing.T) {
	g := NewWithT(t)
	c, _ := newWorld(t, 1<<40)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	g.Expect(c.Create(ctx, newMachine("m"))).To(And(MatchError(ContainSubstring("waiting for the cache")), MatchError(context.DeadlineExceeded)))
}

func TestResourceVersionsAreComparedAsNumbers(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	old := newMachine("m")
	c, cache := newWorld(t, 3, old)
	m := &clusterv1.Machine{}
	g.Expect(c.Client.Get(ctx, client.ObjectKeyFromObject(old), m)).To(Succeed())
	// Nine is older than ten, though not as text.
	for range 10 {
		before := m.DeepCopy()
		m.Spec.ProviderID = strconv.Itoa(len(m.Spec.ProviderID)) + m.Spec.ProviderID
		cache.before = before
		cache.asked.Store(0)
		g.Expect(c.Patch(ctx, m, client.MergeFrom(before))).To(Succeed())
		g.Expect(cache.asked.Load()).To(BeNumerically("==", 4))
	}
}
