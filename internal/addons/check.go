package addons

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// check refuses what cannot be applied, and takes out what only the API server writes.
func check(object *unstructured.Unstructured) error {
	for _, field := range []string{"apiVersion", "kind"} {
		if text, ok := object.Object[field].(string); !ok || text == "" {
			return fmt.Errorf("is no object: %s must be a text", field)
		}
	}
	if _, err := schema.ParseGroupVersion(object.GetAPIVersion()); err != nil {
		return fmt.Errorf("apiVersion %q is none", object.GetAPIVersion())
	}
	if object.IsList() || strings.HasSuffix(object.GetKind(), "List") && object.Object["items"] != nil {
		return fmt.Errorf("is a %s: put each object into a document of its own", object.GetKind())
	}
	metadata, ok := object.Object["metadata"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no metadata", object.GetKind())
	}
	// It is null in what generators write.
	delete(metadata, "creationTimestamp")
	typed, err := readMetadata(metadata)
	if err != nil {
		return fmt.Errorf("metadata of %s: %w", object.GetKind(), err)
	}
	// Go's reader takes a field in any spelling, the API server does not.
	if typed.Name == "" || typed.Name != object.GetName() {
		return fmt.Errorf("%s has no metadata.name", object.GetKind())
	}
	if problems := append(content.IsPathSegmentName(typed.Name), content.IsPathSegmentName(typed.Namespace)...); len(problems) > 0 {
		return fmt.Errorf("name or namespace of %s %s: %s", object.GetKind(), typed.Name, strings.Join(problems, "; "))
	}
	if err := checkForeign(typed); err != nil {
		return fmt.Errorf("metadata of %s %s: %w", object.GetKind(), typed.Name, err)
	}
	delete(object.Object, "status")
	return nil
}

// readMetadata reads metadata whose every field is known.
func readMetadata(metadata map[string]any) (*metav1.ObjectMeta, error) {
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	typed := &metav1.ObjectMeta{}
	return typed, decoder.Decode(typed)
}

// checkForeign refuses what stands only in objects that were read from a cluster, and
// means nothing in another.
func checkForeign(metadata *metav1.ObjectMeta) error {
	switch {
	case metadata.GenerateName != "":
		return errors.New("generateName is not taken: each time it was applied there would be another object")
	case metadata.UID != "", metadata.ResourceVersion != "", len(metadata.ManagedFields) > 0, metadata.DeletionTimestamp != nil:
		return errors.New("uid, resourceVersion, managedFields and deletionTimestamp are the API server's: take them out of what was read from a cluster")
	case len(metadata.OwnerReferences) > 0:
		return errors.New("ownerReferences are not taken: the object would go with an owner that is not known here")
	}
	return nil
}
