package kubeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// defaultWatchTimeout ends watches for which the client set no time.
const defaultWatchTimeout = 30 * time.Minute

type watchFrame struct {
	Type   watch.EventType `json:"type"`
	Object any             `json:"object"`
}

// serveWatch streams the changes of a type.
func (s *Server) serveWatch(w http.ResponseWriter, r *http.Request, req request, sel selector) error {
	from, err := watchStart(r)
	if err != nil {
		return err
	}
	watcher, initial, missed, revision, ok := s.Store.watch(req.resource, req.namespace, from)
	if !ok {
		return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", *from, revision))
	}
	defer s.Store.unwatch(watcher)

	timeout := defaultWatchTimeout
	if n, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds")); err == nil && n > 0 {
		timeout = time.Duration(n) * time.Second
	}
	timer := s.Clock.NewTimer(timeout)
	defer timer.Stop()

	out := frameWriter{w: w, req: req, sel: sel, presenter: s.presenterFor(r, req.resource)}
	w.Header().Set("Content-Type", "application/json;stream=watch")
	w.WriteHeader(http.StatusOK)
	for _, obj := range initial {
		out.send(event{resource: req.resource, kind: watch.Added, object: obj})
	}
	for _, e := range missed {
		out.send(e)
	}
	if v, _ := strconv.ParseBool(r.URL.Query().Get("sendInitialEvents")); v {
		out.bookmark(revision)
	}
	for {
		out.flush()
		if out.err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-timer.C():
			return nil
		case e, ok := <-watcher.events:
			if !ok {
				return nil
			}
			out.send(e)
		}
	}
}

// watchStart returns the revision to resume from, nil to start with all objects.
func watchStart(r *http.Request) (*uint64, error) {
	query := r.URL.Query()
	rv := query.Get("resourceVersion")
	if v, _ := strconv.ParseBool(query.Get("sendInitialEvents")); v || rv == "" || rv == "0" {
		return nil, nil //nolint:nilnil // No revision is a place to start from, too.
	}
	n, err := strconv.ParseUint(rv, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("resourceVersion %q is not a number", rv))
	}
	return &n, nil
}

// frameWriter writes the changes that a client selected.
type frameWriter struct {
	w         http.ResponseWriter
	req       request
	sel       selector
	presenter presenter
	err       error
}

// send writes one change. For a client that selects, a change that moves an
// object into its selection is an addition, and one that moves it out is a
// deletion.
func (f *frameWriter) send(e event) {
	if f.req.namespace != "" && e.object.GetNamespace() != f.req.namespace {
		return
	}
	was, is := e.old != nil && f.sel.matches(e.old), f.sel.matches(e.object)
	kind := e.kind
	switch {
	case kind == watch.Modified && is && !was:
		kind = watch.Added
	case kind == watch.Modified && !is && was:
		kind = watch.Deleted
	case kind == watch.Deleted && (is || was):
	case !is:
		return
	}
	f.write(watchFrame{Type: kind, Object: f.presenter.one(e.object)})
}

// bookmark tells the client that it has seen all there was.
func (f *frameWriter) bookmark(revision uint64) {
	f.write(watchFrame{Type: watch.Bookmark, Object: metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: f.req.resource.GroupVersion().String(), Kind: f.req.resource.Kind},
		ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: strconv.FormatUint(revision, 10),
			Annotations:     map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		},
	}})
}

func (f *frameWriter) write(frame watchFrame) {
	if f.err == nil {
		f.err = json.NewEncoder(f.w).Encode(frame)
	}
}

func (f *frameWriter) flush() {
	if fl, ok := f.w.(http.Flusher); ok && f.err == nil {
		fl.Flush()
	}
}
