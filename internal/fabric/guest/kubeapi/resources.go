package kubeapi

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
)

// Resource is a type that is served.
type Resource struct {
	schema.GroupVersionResource
	Kind       string
	Namespaced bool
	ShortNames []string
	// Status tells whether the type has a status subresource.
	Status bool
	// StatusMetadata tells whether a write of the status may change metadata, too, such
	// as finalizers: that differs from type to type.
	StatusMetadata bool
	// Volatile types are renewed all the time and need not survive: they are kept
	// out of snapshots, and writing them is not worth one.
	Volatile bool
}

// GVK returns the kind of the resource with its group and version.
func (r *Resource) GVK() schema.GroupVersionKind {
	return r.GroupVersion().WithKind(r.Kind)
}

// singular is the name that kubectl takes besides the plural.
func (r *Resource) singular() string { return strings.ToLower(r.Kind) }

func core(resource, kind string, short ...string) *Resource {
	return &Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: resource}, Kind: kind, Namespaced: true, ShortNames: short}
}

func grouped(group, resource, kind string, short ...string) *Resource {
	r := core(resource, kind, short...)
	r.Group = group
	return r
}

func (r *Resource) clusterScoped() *Resource { r.Namespaced = false; return r }
func (r *Resource) withStatus() *Resource    { r.Status = true; return r }
func (r *Resource) withStatusMetadata() *Resource {
	r.Status, r.StatusMetadata = true, true
	return r
}
func (r *Resource) volatile() *Resource { r.Volatile = true; return r }

// resources is everything that is served, in the order of discovery.
var resources = []*Resource{
	core("configmaps", "ConfigMap", "cm"),
	core("endpoints", "Endpoints", "ep"),
	core("events", "Event", "ev"),
	core("limitranges", "LimitRange", "limits"),
	core("namespaces", "Namespace", "ns").clusterScoped().withStatus(),
	core("nodes", "Node", "no").clusterScoped().withStatus(),
	core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc").withStatus(),
	core("persistentvolumes", "PersistentVolume", "pv").clusterScoped().withStatus(),
	core("pods", "Pod", "po").withStatus(),
	core("resourcequotas", "ResourceQuota", "quota").withStatus(),
	core("secrets", "Secret"),
	core("serviceaccounts", "ServiceAccount", "sa"),
	core("services", "Service", "svc").withStatusMetadata(),
	grouped("apps", "daemonsets", "DaemonSet", "ds").withStatus(),
	grouped("apps", "deployments", "Deployment", "deploy").withStatus(),
	grouped("apps", "replicasets", "ReplicaSet", "rs").withStatus(),
	grouped("apps", "statefulsets", "StatefulSet", "sts").withStatus(),
	grouped("apps", "controllerrevisions", "ControllerRevision"),
	grouped("batch", "jobs", "Job").withStatus(),
	grouped("batch", "cronjobs", "CronJob", "cj").withStatus(),
	grouped("policy", "poddisruptionbudgets", "PodDisruptionBudget", "pdb").withStatus(),
	grouped("rbac.authorization.k8s.io", "clusterroles", "ClusterRole").clusterScoped(),
	grouped("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding").clusterScoped(),
	grouped("rbac.authorization.k8s.io", "roles", "Role"),
	grouped("rbac.authorization.k8s.io", "rolebindings", "RoleBinding"),
	grouped("storage.k8s.io", "storageclasses", "StorageClass", "sc").clusterScoped(),
	grouped("storage.k8s.io", "volumeattachments", "VolumeAttachment").clusterScoped().withStatus(),
	grouped("storage.k8s.io", "csidrivers", "CSIDriver").clusterScoped(),
	grouped("storage.k8s.io", "csinodes", "CSINode").clusterScoped(),
	grouped("coordination.k8s.io", "leases", "Lease").volatile(),
	grouped("discovery.k8s.io", "endpointslices", "EndpointSlice"),
	grouped("events.k8s.io", "events", "Event", "ev"),
	grouped("networking.k8s.io", "networkpolicies", "NetworkPolicy", "netpol"),
	grouped("networking.k8s.io", "ingresses", "Ingress", "ing").withStatus(),
	grouped("networking.k8s.io", "ingressclasses", "IngressClass").clusterScoped(),
	grouped("scheduling.k8s.io", "priorityclasses", "PriorityClass", "pc").clusterScoped(),
	grouped("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest", "csr").clusterScoped().withStatus(),
	grouped("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", "crd", "crds").clusterScoped().withStatus(),
}

// Resources of which the rest of the simulation speaks.
var (
	Nodes      = mustFind("", "nodes")
	Pods       = mustFind("", "pods")
	Secrets    = mustFind("", "secrets")
	ConfigMaps = mustFind("", "configmaps")
	Namespaces = mustFind("", "namespaces")
	Services   = mustFind("", "services")
	Leases     = mustFind("coordination.k8s.io", "leases")

	signingRequests = mustFind("certificates.k8s.io", "certificatesigningrequests")
	crds            = mustFind("apiextensions.k8s.io", "customresourcedefinitions")
)

func mustFind(group, resource string) *Resource {
	for _, r := range resources {
		if r.Group == group && r.Resource == resource {
			return r
		}
	}
	panic("no such resource: " + resource + "." + group)
}

func find(group, version, resource string) *Resource {
	i := slices.IndexFunc(resources, func(r *Resource) bool {
		return r.Group == group && r.Version == version && r.Resource == resource
	})
	if i < 0 {
		return nil
	}
	return resources[i]
}

// findKind returns the resource of a kind.
func findKind(gvk schema.GroupVersionKind) *Resource {
	i := slices.IndexFunc(resources, func(r *Resource) bool { return r.GVK() == gvk })
	if i < 0 {
		return nil
	}
	return resources[i]
}

// Scheme knows every type that is served.
var Scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	// Clients send their options under this group, too.
	metav1.AddToGroupVersion(s, metav1.SchemeGroupVersion)
	return s
}

// ResourceOf returns the resource of an object of a known type.
func ResourceOf(obj Object) (*Resource, error) {
	kinds, _, err := Scheme.ObjectKinds(obj)
	if err != nil {
		return nil, err
	}
	r := findKind(kinds[0])
	if r == nil {
		return nil, fmt.Errorf("%s is not served", kinds[0])
	}
	return r, nil
}
