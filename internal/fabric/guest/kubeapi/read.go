package kubeapi

import (
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

func (s *Server) get(w http.ResponseWriter, r *http.Request, req request) error {
	obj, err := s.Store.Get(req.resource, req.namespace, req.name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.presenterFor(r, req.resource).one(obj))
	return nil
}

func (s *Server) serveCollection(w http.ResponseWriter, r *http.Request, req request) error {
	sel, err := parseSelector(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if v, _ := strconv.ParseBool(query.Get("watch")); v {
		return s.serveWatch(w, r, req, sel)
	}
	objects, revision := s.Store.List(req.resource, req.namespace)
	selected := objects[:0]
	for _, obj := range objects {
		if sel.matches(obj) {
			selected = append(selected, obj)
		}
	}
	writeJSON(w, http.StatusOK, s.presenterFor(r, req.resource).list(selected, metav1.ListMeta{ResourceVersion: strconv.FormatUint(revision, 10)}))
	return nil
}

// selector is what a list or watch asks for.
type selector struct {
	labels labels.Selector
	fields fields.Selector
}

func parseSelector(r *http.Request) (selector, error) {
	query := r.URL.Query()
	l, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		return selector{}, apierrors.NewBadRequest("labelSelector: " + err.Error())
	}
	f, err := fields.ParseSelector(query.Get("fieldSelector"))
	if err != nil {
		return selector{}, apierrors.NewBadRequest("fieldSelector: " + err.Error())
	}
	return selector{labels: l, fields: f}, nil
}

func (s selector) matches(obj Object) bool {
	return obj != nil && s.labels.Matches(labels.Set(obj.GetLabels())) && (s.fields.Empty() || s.fields.Matches(objectFields{obj}))
}

// objectFields finds any text field by its path: more than the real server
// offers, never something else.
type objectFields struct{ obj Object }

// Has implements fields.Fields.
func (f objectFields) Has(field string) bool { return f.Get(field) != "" }

// Get implements fields.Fields.
func (f objectFields) Get(field string) string {
	switch field {
	case "metadata.name":
		return f.obj.GetName()
	case "metadata.namespace":
		return f.obj.GetNamespace()
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(f.obj)
	if err != nil {
		return ""
	}
	return textAt(m, field)
}
