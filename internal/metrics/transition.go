package metrics

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
)

// StatusWritten counts what the write of a status has changed. Before is the
// object as it was read, after as it was written.
func StatusWritten(before, after Object) { standard.statusWritten(before, after) }

// Gone counts that a deleted object has lost its last finalizer, and forgets it.
func Gone(obj Object) { standard.gone(obj) }

func (s *set) statusWritten(before, after Object) {
	kind := kindOf(after)
	for _, is := range after.GetConditions() {
		was := meta.FindStatusCondition(before.GetConditions(), is.Type)
		if was == nil || was.Status != is.Status || was.Reason != is.Reason {
			s.transitions.WithLabelValues(kind, is.Type, string(is.Status), is.Reason).Inc()
		}
	}
	was, ok := phaseOf(before)
	if !ok {
		return
	}
	is, _ := phaseOf(after)
	if left, took := s.stopwatch.move(before, was, is, s.now()); left {
		s.phaseDuration.WithLabelValues(kind, string(was)).Observe(took.Seconds())
	}
}

func (s *set) gone(obj Object) {
	if !s.stopwatch.watches(obj.GetUID()) {
		// It was told before, and the cache is late; or nothing had to be waited for.
		return
	}
	if left, took := s.stopwatch.move(obj, phaseDeleting, "", s.now()); left {
		s.phaseDuration.WithLabelValues(kindOf(obj), string(phaseDeleting)).Observe(took.Seconds())
	}
}

// maxWatched bounds the memory of a stopwatch. An object that is forgotten for
// its sake is timed by what its status says.
const maxWatched = 20000

// stopwatch knows since when objects are in their phase. The times in a status
// count whole seconds and do not change with a reason, so they serve only for
// what this process has not seen begin.
type stopwatch struct {
	mu      sync.Mutex
	entered map[types.UID]entry
}

type entry struct {
	phase phase
	at    time.Time
}

// move notes that an object went from one phase to another, and tells whether it
// has left one, and how long it was in it.
func (w *stopwatch) move(before Object, was, is phase, now time.Time) (left bool, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	uid := before.GetUID()
	e, seen := w.entered[uid]
	if !seen || e.phase != was {
		e = entry{phase: was, at: beganBy(before, was)}
	}
	switch {
	case is == "":
		delete(w.entered, uid)
	case was == is:
		w.put(uid, e)
	default:
		w.put(uid, entry{phase: is, at: now})
	}
	return was != "" && was != is, max(0, now.Sub(e.at))
}

func (w *stopwatch) watches(uid types.UID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.entered[uid]
	return ok
}

func (w *stopwatch) put(uid types.UID, e entry) {
	w.entered[uid] = e
	for other := range w.entered {
		if len(w.entered) <= maxWatched {
			return
		}
		if other != uid {
			delete(w.entered, other)
		}
	}
}

// beganBy returns when an object entered its phase, as far as it tells itself:
// when something about it changed last.
func beganBy(obj Object, is phase) time.Time {
	if deletion := obj.GetDeletionTimestamp(); deletion != nil && is == phaseDeleting {
		return deletion.Time
	}
	at := obj.GetCreationTimestamp().Time
	for _, c := range obj.GetConditions() {
		if c.LastTransitionTime.After(at) {
			at = c.LastTransitionTime.Time
		}
	}
	return at
}
