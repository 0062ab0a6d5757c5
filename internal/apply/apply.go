// Package apply writes children by server-side apply with Capstan's one field
// owner. It never touches an object that is not the parent's, and writes only if
// the write would change something. What to apply is not decided here.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// hashAnnotation holds the hash of what was applied last. With it, a field that
// is no longer wanted is seen without reading managed fields.
const hashAnnotation = "capstan.dev/applied-hash"

// NotOwnedError says that an object of the wanted name exists and belongs to
// somebody else. Nothing was changed.
type NotOwnedError struct {
	Kind, Namespace, Name string
	// Owner describes the owner that was expected.
	Owner string
}

// Error implements error.
func (e *NotOwnedError) Error() string {
	return fmt.Sprintf("%s %s/%s exists and was not made for %s: it is left alone; choose another name, or delete it if nothing needs it",
		e.Kind, e.Namespace, e.Name, e.Owner)
}

// Applier applies children.
type Applier struct {
	Client client.Client
	// Live reads past the cache. It is asked before something is made, so that an
	// object the cache has not seen yet is not taken over.
	Live client.Reader
}

// Object applies wanted, whose owner references must hold owner. It reads the
// present object into current, which must be a pointer to an empty
// object of wanted's type and is left as the object is afterwards. An object
// that exists without a reference to owner yields a NotOwnedError; one that is
// being deleted is left alone.
func (a *Applier) Object(ctx context.Context, owner metav1.Object, wanted, current client.Object) error {
	intent, err := intentOf(wanted)
	if err != nil {
		return fmt.Errorf("preparing %s: %w", describe(wanted), err)
	}
	key := client.ObjectKeyFromObject(wanted)
	err = a.Client.Get(ctx, key, current)
	if apierrors.IsNotFound(err) {
		err = a.Live.Get(ctx, key, current)
	}
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading %s: %w", describe(wanted), err)
	case !OwnedBy(current, owner.GetUID()):
		return &NotOwnedError{
			Kind: intent.GetKind(), Namespace: wanted.GetNamespace(), Name: wanted.GetName(), Owner: owner.GetName(),
		}
	case !current.GetDeletionTimestamp().IsZero():
		return nil
	default:
		same, err := holds(current, intent)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", describe(wanted), err)
		}
		if same {
			return nil
		}
		// What the cache shows may be gone, and its name taken by somebody else: the
		// write is for the object that was looked at, or for none.
		intent.SetUID(current.GetUID())
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(intent),
		client.FieldOwner(capstanv1.FieldOwner), client.ForceOwnership); err != nil {
		if isAnother(err) {
			err = apierrors.NewConflict(schema.GroupResource{Resource: intent.GetKind()}, intent.GetName(), err)
		}
		return fmt.Errorf("applying %s: %w", describe(wanted), err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(intent.Object, current); err != nil {
		return fmt.Errorf("reading back %s: %w", describe(wanted), err)
	}
	return nil
}

// isAnother tells an error that says that the object is not the one that was
// looked at. The API server calls that an invalid change of the UID.
func isAnother(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// OwnedBy tells whether obj has an owner reference to uid.
func OwnedBy(obj metav1.Object, uid types.UID) bool {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.UID == uid {
			return true
		}
	}
	return false
}

// intentOf returns wanted as it is sent: without what only the server writes,
// and with the hash of itself.
func intentOf(wanted client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return nil, err
	}
	intent := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(intent.Object, "status")
	unstructured.RemoveNestedField(intent.Object, "metadata", "creationTimestamp")
	raw, err := json.Marshal(intent.Object)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	annotations := intent.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[hashAnnotation] = hex.EncodeToString(sum[:8])
	intent.SetAnnotations(annotations)
	return intent, nil
}

// holds tells whether everything in intent stands in current. A list counts as
// held only if it is equal: a list that others extend is applied again, which is
// wasteful but right.
func holds(current client.Object, intent *unstructured.Unstructured) (bool, error) {
	present, err := runtime.DefaultUnstructuredConverter.ToUnstructured(current)
	if err != nil {
		return false, err
	}
	for key, value := range intent.Object {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			if !metadataHeld(current, intent) {
				return false, nil
			}
		default:
			if !subset(value, present[key]) {
				return false, nil
			}
		}
	}
	return true, nil
}

func metadataHeld(current client.Object, intent *unstructured.Unstructured) bool {
	for k, v := range intent.GetLabels() {
		if current.GetLabels()[k] != v {
			return false
		}
	}
	for k, v := range intent.GetAnnotations() {
		if current.GetAnnotations()[k] != v {
			return false
		}
	}
	for _, ref := range intent.GetOwnerReferences() {
		if !holdsReference(current.GetOwnerReferences(), ref) {
			return false
		}
	}
	return true
}

func holdsReference(refs []metav1.OwnerReference, want metav1.OwnerReference) bool {
	for _, ref := range refs {
		if equality.Semantic.DeepEqual(ref, want) {
			return true
		}
	}
	return false
}

func subset(want, have any) bool {
	wantMap, ok := want.(map[string]any)
	if !ok {
		return equality.Semantic.DeepEqual(want, have)
	}
	haveMap, ok := have.(map[string]any)
	if !ok {
		return len(wantMap) == 0 && have == nil
	}
	for k, v := range wantMap {
		if !subset(v, haveMap[k]) {
			return false
		}
	}
	return true
}

func describe(obj client.Object) string {
	return fmt.Sprintf("%s %s", obj.GetObjectKind().GroupVersionKind().Kind, client.ObjectKeyFromObject(obj))
}
