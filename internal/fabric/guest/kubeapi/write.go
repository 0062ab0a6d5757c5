package kubeapi

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
)

// maxBodyBytes is how much a real API server takes, too.
const maxBodyBytes = 3 << 20

var (
	codecs       = serializer.NewCodecFactory(Scheme)
	strictCodecs = serializer.NewCodecFactory(Scheme, serializer.EnableStrict)
)

// writeOptions are the parameters that all writes share.
type writeOptions struct {
	dryRun  bool
	strict  bool
	manager string
	force   bool
}

func parseWriteOptions(r *http.Request) writeOptions {
	query := r.URL.Query()
	o := writeOptions{
		dryRun:  query.Has("dryRun"),
		strict:  query.Get("fieldValidation") == metav1.FieldValidationStrict,
		manager: query.Get("fieldManager"),
		force:   query.Get("force") == "true",
	}
	if o.manager == "" {
		o.manager = managerOf(r.UserAgent())
	}
	return o
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1))
	if err != nil {
		return nil, apierrors.NewBadRequest("the body could not be read")
	}
	if len(body) > maxBodyBytes {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBodyBytes))
	}
	return body, nil
}

// decodeObject reads an object of the requested type, in JSON, YAML or protobuf.
func decodeObject(req request, body []byte, strict bool) (Object, error) {
	factory := codecs
	if strict {
		factory = strictCodecs
	}
	gvk := req.resource.GVK()
	decoded, got, err := factory.UniversalDeserializer().Decode(body, &gvk, nil)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if *got != gvk {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", got.Kind, got.GroupVersion(), gvk.Kind))
	}
	obj := decoded.(Object)
	switch {
	case !req.resource.Namespaced:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(req.namespace)
	case obj.GetNamespace() != req.namespace:
		return nil, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj, nil
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, req request, id identity) error {
	if req.resource.Namespaced && req.namespace == "" {
		return methodNotAllowed(req, r.Method)
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	opts := parseWriteOptions(r)
	obj, err := decodeObject(req, body, opts.strict)
	if err != nil {
		return err
	}
	if obj.GetResourceVersion() != "" {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + utilrand.String(5))
	}
	obj, err = s.createObject(req.resource, obj, id, opts)
	if err != nil {
		return err
	}
	s.respond(w, r, req, http.StatusCreated, obj)
	return nil
}

func (s *Server) createObject(res *Resource, obj Object, id identity, opts writeOptions) (Object, error) {
	if err := validateName(res, obj.GetName()); err != nil {
		return nil, err
	}
	requestedBy(obj, id)
	if obj.GetManagedFields() == nil {
		obj = trackFields(res, "", nil, obj, opts.manager)
	}
	obj, err := s.Store.Create(res, obj, opts.dryRun)
	if err != nil || opts.dryRun || res != signingRequests {
		return obj, err
	}
	return s.signRequest(obj)
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, req request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	opts := parseWriteOptions(r)
	obj, err := decodeObject(req, body, opts.strict)
	if err != nil {
		return err
	}
	stored, err := s.Store.Update(req.resource, req.namespace, req.name, Change{
		Status: req.subresource == "status" || req.subresource == "approval", DryRun: opts.dryRun,
		Apply: func(old Object) (Object, error) {
			return trackFields(req.resource, req.subresource, old, obj, opts.manager), nil
		},
	})
	if apierrors.IsNotFound(err) && req.resource == Leases && obj.GetResourceVersion() == "" {
		// The real server creates leases on update, which kubelets may rely on.
		stored, err = s.Store.Create(req.resource, obj, opts.dryRun)
	}
	if err != nil {
		return err
	}
	s.respond(w, r, req, http.StatusOK, stored)
	return nil
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request, req request) error {
	opts, err := deleteOptions(r)
	if err != nil {
		return err
	}
	obj, err := s.Store.Delete(req.resource, req.namespace, req.name, opts)
	if err != nil {
		return err
	}
	if len(obj.GetFinalizers()) > 0 {
		s.respond(w, r, req, http.StatusOK, obj)
		return nil
	}
	writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: obj.GetName(), Group: req.resource.Group, Kind: req.resource.Resource, UID: obj.GetUID()},
	})
	return nil
}

func deleteOptions(r *http.Request) (metav1.DeleteOptions, error) {
	var opts metav1.DeleteOptions
	body, err := readBody(r)
	if err != nil {
		return opts, err
	}
	if len(body) > 0 {
		gvk := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
		if _, _, err := codecs.UniversalDeserializer().Decode(body, &gvk, &opts); err != nil {
			return opts, apierrors.NewBadRequest(err.Error())
		}
	}
	if r.URL.Query().Has("dryRun") {
		opts.DryRun = []string{metav1.DryRunAll}
	}
	return opts, nil
}

func (s *Server) deleteCollection(w http.ResponseWriter, r *http.Request, req request) error {
	opts, err := deleteOptions(r)
	if err != nil {
		return err
	}
	sel, err := parseSelector(r)
	if err != nil {
		return err
	}
	objects, _ := s.Store.List(req.resource, req.namespace)
	for _, obj := range slices.DeleteFunc(objects, func(o Object) bool { return !sel.matches(o) }) {
		if _, err := s.Store.Delete(req.resource, obj.GetNamespace(), obj.GetName(), opts); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	writeJSON(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	return nil
}

// evict deletes a pod. Disruption budgets are stored and not enforced.
func (s *Server) evict(w http.ResponseWriter, r *http.Request, req request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	gvk := policyv1.SchemeGroupVersion.WithKind("Eviction")
	decoded, _, err := codecs.UniversalDeserializer().Decode(body, &gvk, nil)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	eviction, ok := decoded.(*policyv1.Eviction)
	if !ok {
		return apierrors.NewBadRequest("the object is not an Eviction of policy/v1")
	}
	var opts metav1.DeleteOptions
	if eviction.DeleteOptions != nil {
		opts = *eviction.DeleteOptions
	}
	if _, err := s.Store.Delete(req.resource, req.namespace, req.name, opts); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	return nil
}

func (s *Server) respond(w http.ResponseWriter, r *http.Request, req request, code int, obj Object) {
	writeJSON(w, code, s.presenterFor(r, req.resource).one(obj))
}

// timestamp is the time as API objects hold it.
func (s *Server) timestamp() metav1.Time { return metav1.NewTime(s.Clock.Now().Truncate(time.Second)) }
