package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/mutate-capstan-dev-v1alpha1-nodepool,mutating=true,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=nodepools,verbs=create;update,versions=v1alpha1,name=default.nodepool.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

// nodePoolDefaulter fills in spec.replicas, and nothing else: the scale
// subresource needs it to be there, and a default of the schema would be there
// with autoscaling, too. See docs/adr/0007.
type nodePoolDefaulter struct{ decoder admission.Decoder }

// Handle implements admission.Handler. The object is changed as it was sent:
// written by its type it would come back with its quantities in other words, and
// GitOps tools would see a difference.
func (d *nodePoolDefaulter) Handle(_ context.Context, req admission.Request) admission.Response {
	pool := &capstanv1.NodePool{}
	if err := d.decoder.Decode(req, pool); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	var old *capstanv1.NodePool
	if len(req.OldObject.Raw) > 0 {
		old = &capstanv1.NodePool{}
		if err := d.decoder.DecodeRaw(req.OldObject, old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	wanted := defaultReplicas(old, pool)
	if !pool.DeletionTimestamp.IsZero() || ptr.Equal(wanted, pool.Spec.Replicas) {
		return admission.Allowed("")
	}
	changed, err := withReplicas(req.Object.Raw, wanted)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, fmt.Errorf("filling in the replicas of NodePool %s: %w", pool.Name, err))
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, changed)
}

// defaultReplicas is what spec.replicas shall be: what somebody asked for, and
// else what the pool has. Nothing that is merely left unsaid makes a pool smaller.
func defaultReplicas(old, pool *capstanv1.NodePool) *int32 {
	is := &pool.Spec
	switch {
	case is.Autoscaling != nil && old != nil && len(replicasOwners(pool)) == 0:
		// What was there was a default. If somebody asked for it, validation says so.
		return nil
	case is.Autoscaling != nil || is.Replicas != nil:
		return is.Replicas
	case old == nil:
		return ptr.To[int32](1)
	case old.Spec.Autoscaling != nil:
		bounds := old.Spec.Autoscaling
		return ptr.To(min(max(old.Status.WantedReplicas, bounds.Min), bounds.Max))
	}
	return ptr.To(old.WantedReplicas())
}

// replicasOwners are those who asked for spec.replicas, by manifest or by scaling.
// A default has none.
func replicasOwners(pool *capstanv1.NodePool) []string {
	var owners []string
	for _, entry := range pool.ManagedFields {
		if ownsReplicas(entry) && !slices.Contains(owners, entry.Manager) {
			owners = append(owners, entry.Manager)
		}
	}
	slices.Sort(owners)
	return owners
}

func ownsReplicas(entry metav1.ManagedFieldsEntry) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	var fields struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		// The API server wrote it. What cannot be read is taken for somebody's.
		return true
	}
	_, owned := fields.Spec["f:replicas"]
	return owned
}

func withReplicas(raw []byte, replicas *int32) ([]byte, error) {
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &obj.Object); err != nil {
		return nil, err
	}
	if replicas == nil {
		unstructured.RemoveNestedField(obj.Object, "spec", "replicas")
	} else if err := unstructured.SetNestedField(obj.Object, int64(*replicas), "spec", "replicas"); err != nil {
		return nil, err
	}
	return json.Marshal(obj.Object)
}
