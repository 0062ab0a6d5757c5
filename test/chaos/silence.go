package main

import (
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// longestSilence is how long an object may be without a word, since a manager that was
// killed has to start again before it can say one.
const longestSilence = time.Minute

// listener hears whether whatever waits says why.
type listener struct {
	mu sync.Mutex
	// since is when an object was first seen without a word.
	since map[types.UID]time.Time
	// heard counts how often something that waited said why.
	heard int
}

func newListener() *listener { return &listener{since: map[types.UID]time.Time{}} }

// excuse gives all who are silent their time anew: whoever speaks for them had no power.
func (l *listener) excuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.since)
}

// hear returns what has been silent for too long.
func (l *listener) hear(objects []unstructured.Unstructured, now time.Time) []finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []finding
	for i := range objects {
		object := &objects[i]
		waits, lack := lackOfWords(object)
		if lack == "" {
			delete(l.since, object.GetUID())
			if waits {
				l.heard++
			}
			continue
		}
		since, known := l.since[object.GetUID()]
		if !known {
			l.since[object.GetUID()] = now
			continue
		}
		if now.Sub(since) > longestSilence {
			found = append(found, finding{silent, fmt.Sprintf("%s %s/%s %s", object.GetKind(), object.GetNamespace(), object.GetName(), lack)})
		}
	}
	return found
}

// lackOfWords tells whether an object waits, and what it does not say of that. A host
// that is drained waits for that, whatever else it is.
func lackOfWords(object *unstructured.Unstructured) (waits bool, lack string) {
	if waits, lack = lackOfWord(object, capstanv1.ReadyCondition); lack != "" {
		return waits, lack
	}
	if maintenance, _, _ := unstructured.NestedString(object.Object, "spec", "maintenance"); maintenance == string(capstanv1.MaintenanceDrain) {
		drains, lack := lackOfWord(object, capstanv1.DrainedCondition)
		return waits || drains, lack
	}
	return waits, ""
}

// lackOfWord tells whether an object waits for a condition, and what it does not say of
// that.
func lackOfWord(object *unstructured.Unstructured, kind string) (waits bool, lack string) {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return true, "has conditions that cannot be read"
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != kind {
			continue
		}
		observed, _, _ := unstructured.NestedInt64(condition, "observedGeneration")
		switch {
		case observed < object.GetGeneration():
			return true, fmt.Sprintf("says of an older spec whether it is %s", kind)
		case condition["status"] == string(metav1.ConditionTrue):
			return false, ""
		case condition["reason"] == nil || condition["reason"] == "":
			return true, fmt.Sprintf("is not %s for no reason", kind)
		case condition["message"] == nil || condition["message"] == "":
			return true, fmt.Sprintf("is not %s (%s) without a message", kind, condition["reason"])
		default:
			return true, ""
		}
	}
	return true, "has no condition " + kind
}
