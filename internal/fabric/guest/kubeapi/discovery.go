package kubeapi

import (
	"net/http"
	"runtime"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

func versionInfo(v string) version.Info {
	major, minor := "", ""
	if parts := strings.Split(strings.TrimPrefix(v, "v"), "."); len(parts) >= 2 {
		major, minor = parts[0], parts[1]
	}
	return version.Info{
		Major: major, Minor: minor, GitVersion: v, GitTreeState: "clean", GoVersion: runtime.Version(),
		Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// serveDiscovery answers what there is. Aggregated discovery is not offered:
// clients then ask for one group after the other.
func serveDiscovery(w http.ResponseWriter, r *http.Request, segments []string) bool {
	if r.Method != http.MethodGet {
		return false
	}
	switch {
	case len(segments) == 1 && segments[0] == "":
		writeJSON(w, http.StatusOK, metav1.RootPaths{Paths: []string{"/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"}})
	case len(segments) == 1 && segments[0] == "api":
		writeJSON(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case len(segments) == 1 && segments[0] == "apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}}
		for _, gv := range groupVersions() {
			if gv.Group != "" {
				list.Groups = append(list.Groups, apiGroup(gv))
			}
		}
		writeJSON(w, http.StatusOK, list)
	case len(segments) == 2 && segments[0] == "apis":
		for _, gv := range groupVersions() {
			if gv.Group == segments[1] {
				g := apiGroup(gv)
				g.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroup"}
				writeJSON(w, http.StatusOK, g)
				return true
			}
		}
		return false
	case len(segments) == 2 && segments[0] == "api":
		return writeResourceList(w, schema.GroupVersion{Version: segments[1]})
	case len(segments) == 3 && segments[0] == "apis":
		return writeResourceList(w, schema.GroupVersion{Group: segments[1], Version: segments[2]})
	default:
		return false
	}
	return true
}

// groupVersions are the groups that are served, each once.
func groupVersions() []schema.GroupVersion {
	var all []schema.GroupVersion
	seen := map[schema.GroupVersion]bool{}
	for _, r := range resources {
		if gv := r.GroupVersion(); !seen[gv] {
			seen[gv] = true
			all = append(all, gv)
		}
	}
	return all
}

func apiGroup(gv schema.GroupVersion) metav1.APIGroup {
	v := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
	return metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v}
}

func writeResourceList(w http.ResponseWriter, gv schema.GroupVersion) bool {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: gv.String()}
	for _, r := range resources {
		if r.GroupVersion() != gv {
			continue
		}
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: r.Resource, SingularName: r.singular(), Namespaced: r.Namespaced, Kind: r.Kind, ShortNames: r.ShortNames,
			Verbs: metav1.Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		})
		if r.Status {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: r.Resource + "/status", Namespaced: r.Namespaced, Kind: r.Kind, Verbs: metav1.Verbs{"get", "patch", "update"},
			})
		}
		if r == Pods {
			list.APIResources = append(list.APIResources,
				metav1.APIResource{Name: "pods/eviction", Namespaced: true, Group: "policy", Version: "v1", Kind: "Eviction", Verbs: metav1.Verbs{"create"}},
				metav1.APIResource{Name: "pods/portforward", Namespaced: true, Kind: "PodPortForwardOptions", Verbs: metav1.Verbs{"create", "get"}})
		}
	}
	if len(list.APIResources) == 0 {
		return false
	}
	writeJSON(w, http.StatusOK, list)
	return true
}
