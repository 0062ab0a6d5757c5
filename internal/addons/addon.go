package addons

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Addon is what is applied to a cluster as one.
type Addon struct {
	Name string
	// Objects are in the order in which they are applied.
	Objects []*unstructured.Unstructured
	// Namespace is that of objects that have one and do not say which.
	Namespace string
	// Revision is a hash of all that is to be applied.
	Revision string
	// HoldsNext tells whether the next addon waits until this one is well.
	HoldsNext bool
}

// New returns the addon of a name that consists of objects, which become its own: each
// is labelled with its name.
func New(name, namespace string, objects []*unstructured.Unstructured, next capstanv1.AddonProgress) (*Addon, error) {
	a := &Addon{Name: name, Namespace: namespace, Objects: objects, HoldsNext: next != capstanv1.AddonApplied}
	for _, object := range objects {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[capstanv1.AddonLabel] = name
		object.SetLabels(labels)
	}
	slices.SortStableFunc(a.Objects, func(x, y *unstructured.Unstructured) int { return rank(x) - rank(y) })
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	if err := encoder.Encode(namespace); err != nil {
		return nil, fmt.Errorf("hashing addon %s: %w", name, err)
	}
	for _, object := range a.Objects {
		if err := encoder.Encode(object.Object); err != nil {
			return nil, fmt.Errorf("hashing addon %s: %w", name, err)
		}
	}
	a.Revision = hex.EncodeToString(hash.Sum(nil)[:8])
	return a, nil
}
