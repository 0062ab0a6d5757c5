package kubeapi

import (
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
)

// fieldManagers keep track of who owns which field, by type and subresource.
// They have no state of their own, so all clusters share them.
var fieldManagers sync.Map

// builtinTypes is the schema of the built-in types. It takes a moment to read.
var builtinTypes = sync.OnceValue(func() managedfields.TypeConverter {
	return applyconfigurations.NewTypeConverter(Scheme)
})

func fieldManagerFor(r *Resource, subresource string) (*managedfields.FieldManager, error) {
	type key struct {
		r   *Resource
		sub string
	}
	if m, ok := fieldManagers.Load(key{r, subresource}); ok {
		return m.(*managedfields.FieldManager), nil
	}
	types := builtinTypes()
	if r == crds {
		types = managedfields.NewDeducedTypeConverter()
	}
	m, err := managedfields.NewDefaultFieldManager(types, Scheme, noDefaults{}, Scheme, r.GVK(), r.GroupVersion(), subresource, nil)
	if err != nil {
		return nil, fmt.Errorf("field manager of %s: %w", r.Resource, err)
	}
	fieldManagers.Store(key{r, subresource}, m)
	return m, nil
}

// noDefaults is the defaulter: what is defaulted is defaulted on admission.
type noDefaults struct{}

// Default implements runtime.ObjectDefaulter.
func (noDefaults) Default(runtime.Object) {}

// trackFields records in obj that manager has written what differs from old.
func trackFields(r *Resource, subresource string, old, obj Object, manager string) Object {
	if r.Volatile || r == signingRequests {
		return obj
	}
	m, err := fieldManagerFor(r, subresource)
	if err != nil {
		return obj
	}
	if old == nil {
		empty, err := Scheme.New(r.GVK())
		if err != nil {
			return obj
		}
		empty.GetObjectKind().SetGroupVersionKind(r.GVK())
		old = empty.(Object)
	}
	tracked, ok := m.UpdateNoErrors(old, obj, manager).(Object)
	if !ok {
		return obj
	}
	tracked.GetObjectKind().SetGroupVersionKind(r.GVK())
	return tracked
}

// applyFields merges an applied configuration into the live object.
func applyFields(r *Resource, subresource string, live Object, patch *unstructured.Unstructured, opts writeOptions) (Object, error) {
	m, err := fieldManagerFor(r, subresource)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj, err := m.Apply(live, patch.DeepCopy(), opts.manager, opts.force)
	if err != nil {
		if _, ok := err.(apierrors.APIStatus); ok {
			return nil, err
		}
		return nil, apierrors.NewBadRequest(err.Error())
	}
	applied := obj.(Object)
	applied.GetObjectKind().SetGroupVersionKind(r.GVK())
	return applied, nil
}

// managerOf is the name of a client that gives none, as the real server makes it
// up.
func managerOf(userAgent string) string {
	name, _, _ := strings.Cut(userAgent, "/")
	if name == "" {
		name = "unknown"
	}
	return name[:min(len(name), 128)]
}
