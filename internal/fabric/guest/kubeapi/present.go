package kubeapi

import (
	"mime"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// presenter gives objects the form that a client accepts: as they are, as a
// table for people, or their metadata only.
type presenter struct {
	server   *Server
	resource *Resource
	as       string
	// include is which form of the object comes with each row of a table.
	include string
}

func (s *Server) presenterFor(r *http.Request, res *Resource) presenter {
	p := presenter{server: s, resource: res, include: r.URL.Query().Get("includeObject")}
	for _, accepted := range strings.Split(r.Header.Get("Accept"), ",") {
		mediaType, params, err := mime.ParseMediaType(accepted)
		if err != nil || mediaType != "application/json" && mediaType != "*/*" {
			continue
		}
		switch params["as"] {
		case "":
			return p
		case "Table", "PartialObjectMetadata", "PartialObjectMetadataList":
			if params["v"] == "v1" {
				p.as = params["as"]
				return p
			}
		}
	}
	return p
}

func (p presenter) one(obj Object) any {
	switch p.as {
	case "Table":
		return p.table([]Object{obj}, metav1.ListMeta{ResourceVersion: obj.GetResourceVersion()})
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		return partial(obj)
	default:
		return obj
	}
}

func (p presenter) list(objects []Object, meta metav1.ListMeta) any {
	switch p.as {
	case "Table":
		return p.table(objects, meta)
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		list := &metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"},
			ListMeta: meta, Items: make([]metav1.PartialObjectMetadata, 0, len(objects)),
		}
		for _, obj := range objects {
			list.Items = append(list.Items, *partial(obj))
		}
		return list
	default:
		return struct {
			metav1.TypeMeta `json:",inline"`
			metav1.ListMeta `json:"metadata"`
			Items           []Object `json:"items"`
		}{
			TypeMeta: metav1.TypeMeta{APIVersion: p.resource.GroupVersion().String(), Kind: p.resource.Kind + "List"},
			ListMeta: meta, Items: objects,
		}
	}
}

func partial(obj Object) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: metav1.ObjectMeta{
			Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
			Generation: obj.GetGeneration(), CreationTimestamp: obj.GetCreationTimestamp(), DeletionTimestamp: obj.GetDeletionTimestamp(),
			Labels: obj.GetLabels(), Annotations: obj.GetAnnotations(), OwnerReferences: obj.GetOwnerReferences(),
			Finalizers: obj.GetFinalizers(), ManagedFields: obj.GetManagedFields(),
		},
	}
}
