package kubeapi

import (
	"net/http"
	"strings"
)

// serveOpenAPI answers with documents that hold just enough for kubectl: that
// every type can be patched, and that field validation and dry runs happen on
// the server. There are no schemas in them.
func serveOpenAPI(w http.ResponseWriter, segments []string) bool {
	if len(segments) < 2 || segments[0] != "openapi" {
		return false
	}
	if segments[1] != "v3" {
		return false
	}
	if len(segments) == 2 {
		paths := map[string]any{}
		for _, gv := range groupVersions() {
			prefix := "apis/" + gv.String()
			if gv.Group == "" {
				prefix = "api/" + gv.Version
			}
			paths[prefix] = map[string]string{"serverRelativeURL": "/openapi/v3/" + prefix}
		}
		writeJSON(w, http.StatusOK, map[string]any{"paths": paths})
		return true
	}
	prefix := strings.Join(segments[2:], "/")
	paths := map[string]any{}
	for _, r := range resources {
		if own := strings.Trim("apis/"+r.GroupVersion().String(), "/"); own != prefix && (r.Group != "" || "api/"+r.Version != prefix) {
			continue
		}
		path := "/" + prefix
		if r.Namespaced {
			path += "/namespaces/{namespace}"
		}
		paths[path+"/"+r.Resource+"/{name}"] = map[string]any{"patch": map[string]any{
			"parameters": []any{
				map[string]any{"name": "dryRun", "in": "query", "schema": map[string]string{"type": "string"}},
				map[string]any{"name": "fieldManager", "in": "query", "schema": map[string]string{"type": "string"}},
				map[string]any{"name": "fieldValidation", "in": "query", "schema": map[string]string{"type": "string"}},
				map[string]any{"name": "force", "in": "query", "schema": map[string]string{"type": "boolean"}},
			},
			"responses": map[string]any{"200": map[string]string{"description": "OK"}},
			"x-kubernetes-group-version-kind": map[string]string{
				"group": r.Group, "version": r.Version, "kind": r.Kind,
			},
		}}
	}
	if len(paths) == 0 {
		return false
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"openapi": "3.0.0", "info": map[string]string{"title": "Kubernetes", "version": "simulated"},
		"paths": paths, "components": map[string]any{"schemas": map[string]any{}},
	})
	return true
}
