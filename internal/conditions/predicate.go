package conditions

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// readyType is the summary condition of every kind.
const readyType = "Ready"

// ReadyChanged lets updates through that change the Ready condition or begin a
// deletion, for those who sum up others.
func ReadyChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(Holder)
		if !ok {
			return true
		}
		is, ok := e.ObjectNew.(Holder)
		if !ok {
			return true
		}
		if was.GetDeletionTimestamp().IsZero() != is.GetDeletionTimestamp().IsZero() {
			return true
		}
		return !sameCondition(Get(was, readyType), Get(is, readyType))
	}}
}

// OnlyDeletions lets nothing through but that an object is gone, for those who
// wait for what it held.
func OnlyDeletions() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func sameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
}
