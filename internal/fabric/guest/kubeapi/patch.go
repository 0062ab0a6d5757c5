package kubeapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

func (s *Server) patch(w http.ResponseWriter, r *http.Request, req request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return apierrors.NewBadRequest("the Content-Type header is missing or wrong")
	}
	opts := parseWriteOptions(r)
	patchType := types.PatchType(contentType)
	var apply func(old Object) (Object, error)
	switch patchType {
	case types.ApplyYAMLPatchType:
		return s.apply(w, r, req, body, opts)
	case types.MergePatchType, types.StrategicMergePatchType, types.JSONPatchType:
		apply = func(old Object) (Object, error) {
			obj, err := patchObject(req, old, patchType, body, opts.strict)
			if err != nil {
				return nil, err
			}
			return trackFields(req.resource, req.subresource, old, obj, opts.manager), nil
		}
	default:
		return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", req.resource.GroupResource(), req.name, fmt.Sprintf("the body of the request was in an unknown format - %q", contentType), 0, false)
	}
	obj, err := s.Store.Update(req.resource, req.namespace, req.name, Change{Status: req.subresource == "status", DryRun: opts.dryRun, Apply: apply})
	if err != nil {
		return err
	}
	s.respond(w, r, req, http.StatusOK, obj)
	return nil
}

func patchObject(req request, old Object, patchType types.PatchType, patch []byte, strict bool) (Object, error) {
	before, err := json.Marshal(old)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	// Protobuf is never sent as a patch, YAML may be.
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return nil, apierrors.NewBadRequest("the patch is neither JSON nor YAML")
	}
	var after []byte
	switch patchType {
	case types.MergePatchType:
		after, err = jsonpatch.MergePatch(before, patch)
	case types.StrategicMergePatchType:
		if req.resource == crds {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", req.resource.GroupResource(), req.name, "strategic merge patch is not supported for this type", 0, false)
		}
		after, err = strategicpatch.StrategicMergePatch(before, patch, old)
	default: // JSON patch: the caller lets no other kind through.
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(patch); err == nil {
			after, err = p.Apply(before)
		}
	}
	if err != nil {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "patch", req.resource.GroupResource(), req.name, err.Error(), 0, false)
	}
	return decodeObject(req, after, strict)
}

// apply is a server-side apply: it creates what is not there.
func (s *Server) apply(w http.ResponseWriter, r *http.Request, req request, body []byte, opts writeOptions) error {
	if r.URL.Query().Get("fieldManager") == "" {
		return apierrors.NewBadRequest("fieldManager is required for apply patch")
	}
	patch := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(body, &patch.Object); err != nil {
		return apierrors.NewBadRequest("error decoding YAML: " + err.Error())
	}
	if err := checkApplied(req, patch, opts.strict); err != nil {
		return err
	}
	obj, err := s.Store.Update(req.resource, req.namespace, req.name, Change{
		Status: req.subresource == "status", DryRun: opts.dryRun,
		Apply: func(old Object) (Object, error) { return applyFields(req.resource, req.subresource, old, patch, opts) },
	})
	if !apierrors.IsNotFound(err) || req.subresource != "" {
		if err != nil {
			return err
		}
		s.respond(w, r, req, http.StatusOK, obj)
		return nil
	}
	empty, err := Scheme.New(req.resource.GVK())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	empty.GetObjectKind().SetGroupVersionKind(req.resource.GVK())
	live := empty.(Object)
	live.SetName(req.name)
	live.SetNamespace(req.namespace)
	if obj, err = applyFields(req.resource, "", live, patch, opts); err != nil {
		return err
	}
	if obj, err = s.createObject(req.resource, obj, identity{}, opts); err != nil {
		return err
	}
	s.respond(w, r, req, http.StatusCreated, obj)
	return nil
}

// checkApplied rejects an applied object that is not the requested one.
func checkApplied(req request, patch *unstructured.Unstructured, strict bool) error {
	if patch.GroupVersionKind() != req.resource.GVK() {
		return apierrors.NewBadRequest(fmt.Sprintf("the applied object is a %s, not a %s", patch.GroupVersionKind(), req.resource.GVK()))
	}
	if patch.GetName() != "" && patch.GetName() != req.name {
		return apierrors.NewBadRequest(fmt.Sprintf("the applied object is named %q, not %q", patch.GetName(), req.name))
	}
	typed, err := Scheme.New(req.resource.GVK())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(patch.Object, typed, strict); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}
