package addons

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// CustomResourceDefinition is the kind that other kinds are made of.
var CustomResourceDefinition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// first are the kinds that others need, in the order in which they are applied.
var first = []schema.GroupKind{
	{Kind: "Namespace"},
	CustomResourceDefinition,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
	{Group: "storage.k8s.io", Kind: "StorageClass"},
	{Kind: "ResourceQuota"},
	{Kind: "LimitRange"},
	{Kind: "ServiceAccount"},
	{Kind: "Secret"},
	{Kind: "ConfigMap"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: "rbac.authorization.k8s.io", Kind: "Role"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
	{Kind: "PersistentVolume"},
	{Kind: "PersistentVolumeClaim"},
	{Kind: "Service"},
}

// last are the kinds by which others are judged or served: applied sooner, they would
// stand in the way of what makes them work.
var last = []schema.GroupKind{
	{Group: "apiregistration.k8s.io", Kind: "APIService"},
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
}

// workloads are the groups whose objects run what serves custom resources.
var workloads = []string{"", "apps", "batch", "policy", "autoscaling", "networking.k8s.io"}

// rank is where in the order of an addon an object stands: what others need, then what
// runs, then custom resources, then webhooks.
func rank(object *unstructured.Unstructured) int {
	return rankOf(object.GroupVersionKind().GroupKind())
}

func rankOf(kind schema.GroupKind) int {
	if i := slices.Index(first, kind); i >= 0 {
		return i
	}
	if i := slices.Index(last, kind); i >= 0 {
		return len(first) + 2 + i
	}
	if slices.Contains(workloads, kind.Group) {
		return len(first)
	}
	return len(first) + 1
}

// Defines tells whether an object must be in force before those behind it can be
// applied.
func Defines(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind().GroupKind() == CustomResourceDefinition
}

// DefinesKind tells whether an object defines a kind, and whether objects of that have
// a namespace.
func DefinesKind(definition *unstructured.Unstructured, kind schema.GroupVersionKind) (namespaced, defines bool) {
	if !Defines(definition) {
		return false, false
	}
	text := func(fields ...string) string {
		// Whatever is no text defines nothing.
		value, _, _ := unstructured.NestedString(definition.Object, fields...)
		return value
	}
	return text("spec", "scope") == "Namespaced", text("spec", "group") == kind.Group && text("spec", "names", "kind") == kind.Kind
}
