package kubeapi

import (
	"fmt"
	"net/netip"
	"reflect"
	"sort"
	"strconv"
	"sync"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Object is a stored object. What the store hands out is shared: it is copied
// before it is changed.
type Object = client.Object

// Store holds the objects of one cluster.
type Store struct {
	clock         clock.PassiveClock
	serviceSubnet netip.Prefix

	mu       sync.RWMutex
	revision uint64
	objects  map[*Resource]map[types.NamespacedName]Object
	history  history
	watchers map[*watcher]struct{}
	// changed is called without the lock after every change that is worth a
	// snapshot.
	changed func(*Resource)
}

// NewStore returns an empty store. The function changed, if not nil, is called
// after every change of a type that is not volatile.
func NewStore(c clock.PassiveClock, changed func(*Resource)) *Store {
	if changed == nil {
		changed = func(*Resource) {}
	}
	return &Store{
		clock: c, changed: changed,
		objects:  map[*Resource]map[types.NamespacedName]Object{},
		watchers: map[*watcher]struct{}{},
	}
}

// Get returns an object, or a NotFound error.
func (s *Store) Get(r *Resource, namespace, name string) (Object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.get(r, namespace, name)
}

func (s *Store) get(r *Resource, namespace, name string) (Object, error) {
	obj, ok := s.objects[r][types.NamespacedName{Namespace: namespace, Name: name}]
	if !ok {
		return nil, apierrors.NewNotFound(r.GroupResource(), name)
	}
	return obj, nil
}

// List returns the objects of a type in a namespace, or in all if it is empty,
// by namespace and name, and the revision they were seen at.
func (s *Store) List(r *Resource, namespace string) ([]Object, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list(r, namespace), s.revision
}

func (s *Store) list(r *Resource, namespace string) []Object {
	list := make([]Object, 0, len(s.objects[r]))
	for key, obj := range s.objects[r] {
		if namespace == "" || key.Namespace == namespace {
			list = append(list, obj)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if a, b := list[i].GetNamespace(), list[j].GetNamespace(); a != b {
			return a < b
		}
		return list[i].GetName() < list[j].GetName()
	})
	return list
}

// Create stores a new object and returns it as stored.
func (s *Store) Create(r *Resource, obj Object, dryRun bool) (Object, error) {
	obj = obj.DeepCopyObject().(Object)
	created, err := s.lockedCreate(r, obj, dryRun)
	if err == nil && !dryRun {
		s.notify(r)
	}
	return created, err
}

func (s *Store) lockedCreate(r *Resource, obj Object, dryRun bool) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(r, obj, dryRun)
}

func (s *Store) create(r *Resource, obj Object, dryRun bool) (Object, error) {
	if !r.Namespaced {
		obj.SetNamespace("")
	}
	key := client.ObjectKeyFromObject(obj)
	if _, ok := s.objects[r][key]; ok {
		return nil, apierrors.NewAlreadyExists(r.GroupResource(), obj.GetName())
	}
	if r.Namespaced {
		ns, err := s.get(Namespaces, "", obj.GetNamespace())
		if err != nil {
			return nil, apierrors.NewNotFound(Namespaces.GroupResource(), obj.GetNamespace())
		}
		if ns.GetDeletionTimestamp() != nil {
			return nil, apierrors.NewForbidden(r.GroupResource(), obj.GetName(), fmt.Errorf("namespace %s is being terminated", obj.GetNamespace()))
		}
	}
	if err := s.admit(r, nil, obj); err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(r.GVK())
	obj.SetUID(types.UID(uuid.NewString()))
	obj.SetCreationTimestamp(metav1.NewTime(s.clock.Now()).Rfc3339Copy())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetGeneration(1)
	s.settle(obj)
	if dryRun {
		return obj, nil
	}
	s.commit(r, watch.Added, obj)
	return obj, nil
}

// Change is what an update does to an object.
type Change struct {
	// Status tells that only the status may change, else everything but it, where
	// the type has a status subresource.
	Status bool
	DryRun bool
	// Apply returns the object as it shall be. It gets a copy of its own. It is
	// called with the store's lock and must not call the store.
	Apply func(old Object) (Object, error)
}

// Update changes an object and returns it as stored. If the object that Apply
// returns bears a resource version, it must be the present one.
func (s *Store) Update(r *Resource, namespace, name string, change Change) (Object, error) {
	obj, changed, err := s.lockedUpdate(r, namespace, name, change)
	if err == nil && changed {
		s.notify(r)
	}
	return obj, err
}

func (s *Store) lockedUpdate(r *Resource, namespace, name string, change Change) (Object, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update(r, namespace, name, change)
}

func (s *Store) update(r *Resource, namespace, name string, change Change) (Object, bool, error) {
	old, err := s.get(r, namespace, name)
	if err != nil {
		return nil, false, err
	}
	obj, err := change.Apply(old.DeepCopyObject().(Object))
	if err != nil {
		return nil, false, err
	}
	if obj.GetName() != name || r.Namespaced && obj.GetNamespace() != namespace {
		return nil, false, apierrors.NewBadRequest("the name or namespace of the object does not match the request")
	}
	if rv := obj.GetResourceVersion(); rv != "" && rv != old.GetResourceVersion() {
		return nil, false, conflict(r, name)
	}
	if uid := obj.GetUID(); uid != "" && uid != old.GetUID() {
		return nil, false, apierrors.NewConflict(r.GroupResource(), name, fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s)", uid, old.GetUID()))
	}
	obj, specChanged, err := carryOver(r, old, obj, change.Status)
	if err != nil {
		return nil, false, err
	}
	if err := s.admit(r, old, obj); err != nil {
		return nil, false, err
	}
	if specChanged {
		obj.SetGeneration(old.GetGeneration() + 1)
		s.settle(obj)
	}
	if equality.Semantic.DeepEqual(old, obj) {
		return old, false, nil
	}
	if change.DryRun {
		return obj, false, nil
	}
	if obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0 {
		s.commit(r, watch.Deleted, obj)
		return obj, true, nil
	}
	s.commit(r, watch.Modified, obj)
	return obj, true, nil
}

// commit makes obj the newest version of itself.
func (s *Store) commit(r *Resource, kind watch.EventType, obj Object) {
	s.revision++
	obj.SetResourceVersion(strconv.FormatUint(s.revision, 10))
	key := client.ObjectKeyFromObject(obj)
	var old Object
	if s.objects[r] == nil {
		s.objects[r] = map[types.NamespacedName]Object{}
	}
	old = s.objects[r][key]
	if kind == watch.Deleted {
		delete(s.objects[r], key)
	} else {
		s.objects[r][key] = obj
	}
	s.publish(event{resource: r, kind: kind, object: obj, old: old, revision: s.revision})
}

func (s *Store) notify(r *Resource) {
	if !r.Volatile {
		s.changed(r)
	}
}

func conflict(r *Resource, name string) error {
	return apierrors.NewConflict(r.GroupResource(), name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
}

// carryOver puts into obj what an update may not change, and tells whether the
// desired state has changed.
func carryOver(r *Resource, old, obj Object, status bool) (Object, bool, error) {
	oldMap, err := runtime.DefaultUnstructuredConverter.ToUnstructured(old)
	if err != nil {
		return nil, false, apierrors.NewInternalError(err)
	}
	newMap, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, false, apierrors.NewInternalError(err)
	}
	switch {
	case status:
		managed := obj.GetManagedFields()
		next := runtime.DeepCopyJSON(oldMap)
		setOrDelete(next, "status", newMap["status"])
		if r.StatusMetadata {
			setOrDelete(next, "metadata", newMap["metadata"])
		}
		newMap = next
		if obj, err = fromMap(r, newMap); err != nil {
			return nil, false, err
		}
		obj.SetManagedFields(managed)
	case r.Status:
		setOrDelete(newMap, "status", oldMap["status"])
		if obj, err = fromMap(r, newMap); err != nil {
			return nil, false, err
		}
	}
	obj.GetObjectKind().SetGroupVersionKind(r.GVK())
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	obj.SetSelfLink("")
	obj.SetGeneration(old.GetGeneration())
	obj.SetResourceVersion(old.GetResourceVersion())
	for _, m := range []map[string]any{oldMap, newMap} {
		delete(m, "metadata")
		delete(m, "status")
		delete(m, "apiVersion")
		delete(m, "kind")
	}
	return obj, !reflect.DeepEqual(oldMap, newMap), nil
}

func setOrDelete(m map[string]any, key string, value any) {
	if value == nil {
		delete(m, key)
		return
	}
	m[key] = value
}

func fromMap(r *Resource, m map[string]any) (Object, error) {
	o, err := Scheme.New(r.GVK())
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, o); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return o.(Object), nil
}
