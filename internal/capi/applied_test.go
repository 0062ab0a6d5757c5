package capi

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const machineOwner = "capi-machineset"

// applyWorld counts what reaches the API server.
type applyWorld struct {
	*readYourWrites
	applies int
}

func newApplyWorld(t *testing.T) *applyWorld {
	t.Helper()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(corev1.AddToScheme(scheme)).To(Succeed())
	NewWithT(t).Expect(AddToScheme(scheme)).To(Succeed())
	w := &applyWorld{}
	api := fake.NewClientBuilder().WithScheme(scheme).WithReturnManagedFields().WithStatusSubresource(&clusterv1.Machine{}).
		WithObjects(bareMachine("first")).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				w.applies++
				return c.Apply(ctx, obj, opts...)
			},
		}).Build()
	w.readYourWrites = &readYourWrites{Client: api, cache: api, applied: newApplied()}
	return w
}

// bareMachine has what the API server gives to every object.
func bareMachine(uid types.UID) *clusterv1.Machine {
	return &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", UID: uid}}
}

func machineIntent(version string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": clusterv1.GroupVersion.String(), "kind": "Machine",
		"metadata": map[string]any{"namespace": "default", "name": "a", "labels": map[string]any{"x": "y"}},
		"spec": map[string]any{
			"clusterName": "shop", "version": version,
			"bootstrap": map[string]any{"dataSecretName": "a"},
			"infrastructureRef": map[string]any{
				"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "TestMachine", "name": "a",
			},
		},
	}}
}

// apply applies and returns how many requests that took, and what came of it.
func (w *applyWorld) apply(t *testing.T, version string, opts ...client.ApplyOption) (int, *unstructured.Unstructured) {
	t.Helper()
	before, intent := w.applies, machineIntent(version)
	opts = append([]client.ApplyOption{client.FieldOwner(machineOwner), client.ForceOwnership}, opts...)
	NewWithT(t).Expect(w.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(intent), opts...)).To(Succeed())
	return w.applies - before, intent
}

func (w *applyWorld) machine(t *testing.T) *clusterv1.Machine {
	t.Helper()
	machine := &clusterv1.Machine{}
	NewWithT(t).Expect(w.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "a"}, machine)).To(Succeed())
	return machine
}

func requests(n int, _ *unstructured.Unstructured) int { return n }

func TestAnApplyThatWouldChangeNothingIsLeftOut(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	g.Expect(requests(w.apply(t, "v1.36.3"))).To(Equal(1))

	machine := w.machine(t)
	machine.Status.Phase = "Running"
	g.Expect(w.Status().Update(t.Context(), machine)).To(Succeed())

	n, outcome := w.apply(t, "v1.36.3")
	g.Expect(n).To(Equal(0), "only the status has changed")
	g.Expect(outcome.GetResourceVersion()).To(Equal(w.machine(t).ResourceVersion), "the caller gets the object as it is")
	g.Expect(outcome.GetUID()).To(Equal(machine.UID))
	g.Expect(outcome.GetKind()).To(Equal("Machine"))
}

func TestAnotherIntentIsApplied(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	w.apply(t, "v1.36.2")
	g.Expect(requests(w.apply(t, "v1.36.3"))).To(Equal(1))
	g.Expect(w.machine(t).Spec.Version).To(Equal("v1.36.3"))
	g.Expect(requests(w.apply(t, "v1.36.2"))).To(Equal(1), "what was applied before the last is not remembered")
	g.Expect(w.machine(t).Spec.Version).To(Equal("v1.36.2"))
}

func TestWhatSomebodyElseChangedIsAppliedAgain(t *testing.T) {
	for name, change := range map[string]func(*clusterv1.Machine){
		"a value":                                func(m *clusterv1.Machine) { m.Spec.Version = "v1.35.6" },
		"a label":                                func(m *clusterv1.Machine) { m.Labels["x"] = "z" },
		"a field that is gone":                   func(m *clusterv1.Machine) { delete(m.Labels, "x") },
		"a value, with the managed fields reset": func(m *clusterv1.Machine) { m.Spec.Version = "v1.35.6"; m.ManagedFields = nil },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newApplyWorld(t)
			w.apply(t, "v1.36.3")
			machine := w.machine(t)
			change(machine)
			g.Expect(w.Update(t.Context(), machine, client.FieldOwner("somebody"))).To(Succeed())

			g.Expect(requests(w.apply(t, "v1.36.3"))).To(Equal(1))
			g.Expect(w.machine(t).Spec.Version).To(Equal("v1.36.3"))
			g.Expect(w.machine(t).Labels).To(HaveKeyWithValue("x", "y"))
		})
	}
}

func TestAnObjectThatWasMadeAgainIsAppliedTo(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	w.apply(t, "v1.36.3")
	g.Expect(w.Client.Delete(t.Context(), w.machine(t))).To(Succeed())
	g.Expect(w.Client.Create(t.Context(), bareMachine("second"))).To(Succeed())
	g.Expect(requests(w.apply(t, "v1.36.3"))).To(Equal(1))
}

func TestADryRunIsNeverLeftOut(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	w.apply(t, "v1.36.3")
	g.Expect(requests(w.apply(t, "v1.36.3", client.DryRunAll))).To(Equal(1))
}

func TestEachManagerAppliesForItself(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	w.apply(t, "v1.36.3")
	g.Expect(requests(w.apply(t, "v1.36.3", client.FieldOwner("capi-kubeadmcontrolplane")))).To(Equal(1))
	g.Expect(w.machine(t).ManagedFields).To(ContainElement(HaveField("Manager", "capi-kubeadmcontrolplane")))
}

func TestValuesOfTheSameFieldsAreCompared(t *testing.T) {
	g := NewWithT(t)
	w := newApplyWorld(t)
	w.apply(t, "v1.36.3")
	machine := w.machine(t)
	owned := machine.ManagedFields
	machine.Spec.Version = "v1.35.6"
	g.Expect(w.Update(t.Context(), machine)).To(Succeed())
	// As another process leaves it that applies as the same manager.
	machine.ManagedFields = owned
	g.Expect(w.Update(t.Context(), machine)).To(Succeed())
	g.Expect(requests(w.apply(t, "v1.36.3"))).To(Equal(1))
}

func TestContainmentDoesNotMindWhatOthersAdd(t *testing.T) {
	present := map[string]any{
		"labels": map[string]any{"a": "b", "c": "d"},
		"owners": []any{map[string]any{"uid": "1", "name": "x"}, map[string]any{"uid": "2"}},
		"count":  int64(3),
	}
	for name, tc := range map[string]struct {
		intent map[string]any
		want   bool
	}{
		"a part of it":      {map[string]any{"labels": map[string]any{"a": "b"}, "count": int64(3)}, true},
		"another value":     {map[string]any{"labels": map[string]any{"a": "c"}}, false},
		"a missing key":     {map[string]any{"other": "x"}, false},
		"one of a list":     {map[string]any{"owners": []any{map[string]any{"uid": "2"}}}, true},
		"none of a list":    {map[string]any{"owners": []any{map[string]any{"uid": "3"}}}, false},
		"an empty object":   {map[string]any{"other": map[string]any{}}, true},
		"an object, for no": {map[string]any{"count": map[string]any{"x": "y"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(contains(present, tc.intent)).To(Equal(tc.want))
		})
	}
}
