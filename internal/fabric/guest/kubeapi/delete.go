package kubeapi

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Delete deletes an object, or marks it as being deleted if it has finalizers.
// It returns the object as it is, or was last.
//
// What a real cluster's controllers remove with it goes at once: dependants by
// owner reference, the pods of a Node, and the content of a Namespace.
func (s *Store) Delete(r *Resource, namespace, name string, opts metav1.DeleteOptions) (Object, error) {
	dryRun := len(opts.DryRun) > 0
	s.mu.Lock()
	obj, touched, err := s.delete(r, namespace, name, opts.Preconditions, dryRun)
	s.mu.Unlock()
	for t := range touched {
		s.notify(t)
	}
	return obj, err
}

func (s *Store) delete(r *Resource, namespace, name string, pre *metav1.Preconditions, dryRun bool) (Object, map[*Resource]struct{}, error) {
	obj, err := s.get(r, namespace, name)
	if err != nil {
		return nil, nil, err
	}
	if pre != nil && pre.UID != nil && *pre.UID != obj.GetUID() {
		return nil, nil, apierrors.NewConflict(r.GroupResource(), name, fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s)", *pre.UID, obj.GetUID()))
	}
	if pre != nil && pre.ResourceVersion != nil && *pre.ResourceVersion != obj.GetResourceVersion() {
		return nil, nil, conflict(r, name)
	}
	if dryRun {
		return obj, nil, nil
	}
	touched := map[*Resource]struct{}{r: {}}
	if len(obj.GetFinalizers()) > 0 {
		if obj.GetDeletionTimestamp() != nil {
			return obj, nil, nil
		}
		obj = obj.DeepCopyObject().(Object)
		now := metav1.NewTime(s.clock.Now()).Rfc3339Copy()
		obj.SetDeletionTimestamp(&now)
		s.commit(r, watch.Modified, obj)
		return obj, touched, nil
	}
	obj = obj.DeepCopyObject().(Object)
	s.commit(r, watch.Deleted, obj)
	s.collect(r, obj, touched)
	return obj, touched, nil
}

// collect deletes what depends on a deleted object.
func (s *Store) collect(r *Resource, gone Object, touched map[*Resource]struct{}) {
	type victim struct {
		r   *Resource
		key types.NamespacedName
	}
	var victims []victim
	for t, objects := range s.objects {
		for key, obj := range objects {
			pod, isPod := obj.(*corev1.Pod)
			switch {
			case r == Namespaces && t.Namespaced && key.Namespace == gone.GetName(),
				r == Nodes && isPod && pod.Spec.NodeName == gone.GetName(),
				ownedBy(obj, gone.GetUID()):
				victims = append(victims, victim{t, key})
			}
		}
	}
	for _, v := range victims {
		_, more, err := s.delete(v.r, v.key.Namespace, v.key.Name, nil, false)
		if err != nil {
			continue // It went with another victim.
		}
		for t := range more {
			touched[t] = struct{}{}
		}
	}
}

func ownedBy(obj Object, uid types.UID) bool {
	owners := obj.GetOwnerReferences()
	for _, o := range owners {
		if o.UID != uid {
			return false
		}
	}
	return len(owners) > 0
}
