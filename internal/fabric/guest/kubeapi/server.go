package kubeapi

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
)

// Options are what an API server needs of the machine it runs on.
type Options struct {
	Store *Store
	Clock clock.Clock
	Log   logr.Logger
	// Version is the Kubernetes version, such as v1.36.3.
	Version string
	// Available returns nil, or why the server cannot serve: its etcd has no
	// majority.
	Available func() error
	// Sign signs the certificate of an approved request.
	Sign func(request *x509.CertificateRequest, csr *certificatesv1.CertificateSigningRequest) ([]byte, error)
	// DialPod connects to a port of a pod.
	DialPod func(ctx context.Context, namespace, name, port string) (net.Conn, error)
}

// Server is the API server of one control-plane machine. It is an http.Handler.
type Server struct {
	Options
}

// NewServer returns a server.
func NewServer(o Options) *Server { return &Server{Options: o} }

// request is a request for a resource, taken apart.
type request struct {
	resource    *Resource
	namespace   string
	name        string
	subresource string
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		// One request that goes wrong must not take the fabric down unseen.
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // A panic is no wrapped error.
			s.Log.Error(fmt.Errorf("panic: %v", p), "A request failed", "method", r.Method, "path", r.URL.Path, "stack", string(debug.Stack()))
			panic(http.ErrAbortHandler)
		}
	}()
	if s.serveHealth(w, r) {
		return
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	id, err := s.authenticate(r)
	if err != nil {
		writeError(w, err)
		return
	}
	if err := id.authorize(r.Method, segments); err != nil {
		writeError(w, err)
		return
	}
	if err := s.Available(); err != nil {
		writeError(w, apierrors.NewServiceUnavailable(err.Error()))
		return
	}
	if serveDiscovery(w, r, segments) || serveOpenAPI(w, segments) {
		return
	}
	req, ok := parsePath(segments)
	if !ok {
		writeError(w, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "the server could not find the requested resource", 0, true))
		return
	}
	if err := s.serveResource(w, r, req, id); err != nil {
		writeError(w, err)
	}
}

// serveHealth answers what needs no identity. Liveness does not depend on etcd,
// readiness does.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch path {
	case "version":
		writeJSON(w, http.StatusOK, versionInfo(s.Version))
	case "livez":
		_, _ = w.Write([]byte("ok"))
	case "readyz", "healthz":
		if err := s.Available(); err != nil {
			http.Error(w, "[-]etcd failed: "+err.Error()+"\n"+path+" check failed", http.StatusInternalServerError)
			return true
		}
		_, _ = w.Write([]byte("ok"))
	default:
		return false
	}
	return true
}

// parsePath takes apart /api/v1/... and /apis/<group>/<version>/...
func parsePath(segments []string) (request, bool) {
	var group, version string
	switch {
	case len(segments) >= 3 && segments[0] == "api":
		version, segments = segments[1], segments[2:]
	case len(segments) >= 4 && segments[0] == "apis":
		group, version, segments = segments[1], segments[2], segments[3:]
	default:
		return request{}, false
	}
	var req request
	if segments[0] == "namespaces" && len(segments) >= 3 && !slices.Contains([]string{"status", "finalize"}, segments[2]) {
		req.namespace, segments = segments[1], segments[2:]
	}
	if len(segments) > 3 {
		return request{}, false
	}
	req.resource = find(group, version, segments[0])
	if req.resource == nil || req.namespace != "" && !req.resource.Namespaced {
		return request{}, false
	}
	if len(segments) > 1 {
		req.name = segments[1]
	}
	if len(segments) > 2 {
		req.subresource = segments[2]
	}
	return req, true
}

func (s *Server) serveResource(w http.ResponseWriter, r *http.Request, req request, id identity) error {
	if req.subresource != "" {
		return s.serveSubresource(w, r, req)
	}
	if req.name == "" {
		switch r.Method {
		case http.MethodGet:
			return s.serveCollection(w, r, req)
		case http.MethodPost:
			return s.create(w, r, req, id)
		case http.MethodDelete:
			return s.deleteCollection(w, r, req)
		}
		return methodNotAllowed(req, r.Method)
	}
	switch r.Method {
	case http.MethodGet:
		return s.get(w, r, req)
	case http.MethodPut:
		return s.put(w, r, req)
	case http.MethodPatch:
		return s.patch(w, r, req)
	case http.MethodDelete:
		return s.delete(w, r, req)
	}
	return methodNotAllowed(req, r.Method)
}

func (s *Server) serveSubresource(w http.ResponseWriter, r *http.Request, req request) error {
	switch {
	case req.subresource == "status" && req.resource.Status,
		req.subresource == "approval" && req.resource == signingRequests:
		switch r.Method {
		case http.MethodGet:
			return s.get(w, r, req)
		case http.MethodPut:
			return s.put(w, r, req)
		case http.MethodPatch:
			return s.patch(w, r, req)
		}
		return methodNotAllowed(req, r.Method)
	case req.subresource == "eviction" && req.resource == Pods && r.Method == http.MethodPost:
		return s.evict(w, r, req)
	case req.subresource == "portforward" && req.resource == Pods:
		return s.portForward(w, r, req)
	case req.subresource == "finalize" && req.resource == Namespaces && r.Method == http.MethodPut:
		return s.put(w, r, req)
	}
	return apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, req.resource.GroupResource(), req.name, "the server could not find the requested resource", 0, true)
}

func methodNotAllowed(req request, method string) error {
	return apierrors.NewMethodNotSupported(req.resource.GroupResource(), strings.ToLower(method))
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A client that has gone away is no concern of the server.
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	writeJSON(w, int(status.Code), status)
}

func statusOf(err error) metav1.Status {
	var status metav1.Status
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s.Status()
	} else {
		status = apierrors.NewInternalError(err).ErrStatus
	}
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if status.Code == 0 {
		status.Code = http.StatusInternalServerError
	}
	return status
}
