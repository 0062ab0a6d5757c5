package capi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// infrastructureGroup is the group of infrastructure providers' kinds.
const infrastructureGroup = "infrastructure.cluster.x-k8s.io"

// maxApplied is how many applies are remembered.
const maxApplied = 50_000

// applied remembers what was applied to which object. Cluster API's reconcilers
// apply the same intent to the same Machine in every round, and ask the API server
// each time that anything about the Machine has changed, be it a status. Such an
// apply changes nothing, and passes through defaulting, validation and two
// webhooks to find that out.
//
// That an apply changes nothing is seen without asking: the intent is the same as
// last time and stands in the object, and in the object's managed fields the entry
// of its manager is as the API server left it then. Whoever changes a field that
// the manager owns takes it over, and a field that is gone is owned by nobody:
// either changes the entry.
type applied struct{ last *lru.Cache }

func newApplied() applied { return applied{last: lru.New(maxApplied)} }

// applier is a manager of fields of an object.
type applier struct {
	uid   types.UID
	owner string
}

// mark is what an applier applied last, and the entry in the managed fields that
// came of it.
type mark struct {
	intent [sha256.Size]byte
	entry  metav1.ManagedFieldsEntry
}

// remember notes the outcome of an apply, as the API server returned it.
func (a applied) remember(owner string, intent [sha256.Size]byte, outcome metav1.Object) {
	entry := managedBy(outcome, owner)
	if entry == nil || outcome.GetUID() == "" {
		return
	}
	a.last.Add(applier{outcome.GetUID(), owner}, mark{intent: intent, entry: *entry})
}

// holds tells whether the same intent was applied to the object before and all of
// it still stands.
func (a applied) holds(owner string, intent [sha256.Size]byte, present metav1.Object) bool {
	value, known := a.last.Get(applier{present.GetUID(), owner})
	if !known {
		return false
	}
	last, ok := value.(mark)
	if !ok || last.intent != intent {
		return false
	}
	entry := managedBy(present, owner)
	return entry != nil && entry.APIVersion == last.entry.APIVersion && entry.FieldsV1 != nil && last.entry.FieldsV1 != nil &&
		bytes.Equal(entry.FieldsV1.GetRawBytes(), last.entry.FieldsV1.GetRawBytes())
}

// managedBy returns what a manager owns by applying, or nil.
func managedBy(obj metav1.Object, owner string) *metav1.ManagedFieldsEntry {
	fields := obj.GetManagedFields()
	i := slices.IndexFunc(fields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == owner && f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == ""
	})
	if i < 0 {
		return nil
	}
	return &fields[i]
}

// contains tells whether all of intent stands in present. What others have added
// to lists and objects is not looked at.
func contains(present, intent any) bool {
	switch want := intent.(type) {
	case map[string]any:
		have, ok := present.(map[string]any)
		if !ok {
			return len(want) == 0 && present == nil
		}
		for key, value := range want {
			if !contains(have[key], value) {
				return false
			}
		}
		return true
	case []any:
		have, _ := present.([]any)
		for _, value := range want {
			if !slices.ContainsFunc(have, func(item any) bool { return contains(item, value) }) {
				return false
			}
		}
		return true
	default:
		return equality.Semantic.DeepEqual(present, intent)
	}
}

// Apply implements client.Client. It leaves out what would change nothing.
func (c *readYourWrites) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	options := (&client.ApplyOptions{}).ApplyOptions(opts)
	intent, ok := obj.(runtime.Unstructured)
	if !ok || len(options.DryRun) > 0 {
		return c.apply(ctx, obj, options.DryRun, opts)
	}
	wanted := intent.UnstructuredContent()
	raw, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("reading what is to be applied: %w", err)
	}
	sum := sha256.Sum256(raw)
	present, err := c.repeated(ctx, &unstructured.Unstructured{Object: wanted})
	if err != nil {
		return err
	}
	if present != nil && c.applied.holds(options.FieldManager, sum, present) && contains(present.Object, wanted) {
		intent.SetUnstructuredContent(present.Object)
		return nil
	}
	if err := c.apply(ctx, obj, options.DryRun, opts); err != nil {
		return err
	}
	c.applied.remember(options.FieldManager, sum, &unstructured.Unstructured{Object: intent.UnstructuredContent()})
	return nil
}

func (c *readYourWrites) apply(ctx context.Context, obj runtime.ApplyConfiguration, dryRun []string, opts []client.ApplyOption) error {
	if err := c.Client.Apply(ctx, obj, opts...); err != nil {
		return err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return fmt.Errorf("reading what was applied: %w", err)
	}
	return c.seen(ctx, &unstructured.Unstructured{Object: content}, dryRun)
}

// repeated returns what the cache has of an object of a kind that is applied in
// every round; nil if it has none, or if the kind is no such kind. All of these
// kinds are watched by whoever applies them, so no watch is begun for this.
func (c *readYourWrites) repeated(ctx context.Context, intent *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	gvk := intent.GroupVersionKind()
	var cached client.Object = &unstructured.Unstructured{}
	switch {
	case gvk == clusterv1.GroupVersion.WithKind("Machine"):
		cached = &clusterv1.Machine{}
	case gvk == clusterv1.GroupVersion.WithKind("MachineSet"):
		cached = &clusterv1.MachineSet{}
	case gvk == bootstrapv1.GroupVersion.WithKind("KubeadmConfig"):
		cached = &bootstrapv1.KubeadmConfig{}
	case gvk.Group == infrastructureGroup && strings.HasSuffix(gvk.Kind, "Machine"):
		cached.GetObjectKind().SetGroupVersionKind(gvk)
	default:
		return nil, nil
	}
	err := c.cache.Get(ctx, client.ObjectKeyFromObject(intent), cached)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was applied: %w", err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cached)
	if err != nil {
		return nil, fmt.Errorf("reading what was applied: %w", err)
	}
	present := &unstructured.Unstructured{Object: content}
	present.SetGroupVersionKind(gvk)
	return present, nil
}
