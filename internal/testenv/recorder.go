package testenv

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Recorder is an events.EventRecorder that keeps what it is told. The API server's
// own events cannot be counted: client-go folds equal ones into a series.
type Recorder struct {
	mu     sync.Mutex
	events map[types.UID][]Event
}

// Event is one that was recorded.
type Event struct{ Type, Reason, Note string }

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(regarding, _ runtime.Object, eventType, reason, _, note string, args ...any) {
	obj, err := meta.Accessor(regarding)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil {
		r.events = map[types.UID][]Event{}
	}
	r.events[obj.GetUID()] = append(r.events[obj.GetUID()], Event{eventType, reason, fmt.Sprintf(note, args...)})
}

// Of returns the events of the object with this UID, in their order.
func (r *Recorder) Of(uid types.UID) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events[uid]...)
}

// Reasons returns the reasons of those events.
func (r *Recorder) Reasons(uid types.UID) []string {
	var reasons []string
	for _, e := range r.Of(uid) {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}
