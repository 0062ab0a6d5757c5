package kubeapi

import (
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// historySize is how many changes are remembered for watches that resume. Older
// ones are told "410 Gone", as etcd's compaction would have it.
const historySize = 2048

// watchBuffer is how far a watcher may lag behind before it is dropped. It comes
// back and resumes, or lists again.
const watchBuffer = 256

// event is one change.
type event struct {
	resource *Resource
	kind     watch.EventType
	object   Object
	// old is the version before, nil if there was none: a change may move an
	// object into or out of what a watcher selects.
	old      Object
	revision uint64
}

// history is the latest changes. first is the revision since which it is
// complete.
type history struct {
	events []event
	first  uint64
}

func (h *history) add(e event) {
	if len(h.events) >= 2*historySize {
		h.events = append([]event(nil), h.events[historySize:]...)
		h.first = h.events[0].revision - 1
	}
	h.events = append(h.events, e)
}

// watcher gets the changes of one type.
type watcher struct {
	resource *Resource
	events   chan event
	once     sync.Once
}

func (w *watcher) close() { w.once.Do(func() { close(w.events) }) }

// publish hands a change to all watchers. A watcher that does not keep up is
// dropped, so that no client can hold up the cluster.
func (s *Store) publish(e event) {
	s.history.add(e)
	for w := range s.watchers {
		if w.resource != e.resource {
			continue
		}
		select {
		case w.events <- e:
		default:
			delete(s.watchers, w)
			w.close()
		}
	}
}

// watch registers a watcher and returns what it starts from: all objects if from
// is nil, else the changes since that revision. It returns ok false if those are
// no longer known.
func (s *Store) watch(r *Resource, namespace string, from *uint64) (w *watcher, initial []Object, missed []event, revision uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from != nil && (*from < s.history.first || *from > s.revision) {
		return nil, nil, nil, s.revision, false
	}
	if from == nil {
		initial = s.list(r, namespace)
	} else {
		for _, e := range s.history.events {
			if e.resource == r && e.revision > *from {
				missed = append(missed, e)
			}
		}
	}
	w = &watcher{resource: r, events: make(chan event, watchBuffer)}
	s.watchers[w] = struct{}{}
	return w, initial, missed, s.revision, true
}

func (s *Store) unwatch(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
	w.close()
}

// CloseWatches ends all watches, as an API server does that has lost its etcd.
func (s *Store) CloseWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		delete(s.watchers, w)
		w.close()
	}
}
