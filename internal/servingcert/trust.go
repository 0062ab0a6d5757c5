package servingcert

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// trust writes the bundle and the endpoint into every webhook client of ours.
type trust struct {
	client   client.Client
	endpoint endpoint

	// bundle is what the versions below were found to carry. CRDs are large, so
	// a look lists metadata only and reads in full what has changed since.
	bundle   []byte
	versions map[string]string
}

// kind is one kind of object that carries webhook client configurations.
type kind struct {
	gvk   schema.GroupVersionKind
	empty func() client.Object
}

var kinds = []kind{
	{
		gvk:   admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"),
		empty: func() client.Object { return &admissionregistrationv1.MutatingWebhookConfiguration{} },
	},
	{
		gvk:   admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		empty: func() client.Object { return &admissionregistrationv1.ValidatingWebhookConfiguration{} },
	},
	{
		gvk:   apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"),
		empty: func() client.Object { return &apiextensionsv1.CustomResourceDefinition{} },
	},
}

// ensure makes every object of ours trust the bundle, and says whether one had
// to be changed. One object that cannot be changed does not keep the others
// from it.
func (t *trust) ensure(ctx context.Context, bundle []byte) (bool, error) {
	if !bytes.Equal(t.bundle, bundle) {
		t.bundle, t.versions = bundle, map[string]string{}
	}
	seen := map[string]string{}
	patched := false
	var errs []error
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.gvk)
		if err := t.client.List(ctx, list, client.MatchingLabels{PartOfLabel: PartOf}); err != nil {
			errs = append(errs, fmt.Errorf("listing every %s: %w", kind.gvk.Kind, err))
			continue
		}
		for i := range list.Items {
			item := &list.Items[i]
			key := kind.gvk.Kind + "/" + item.Name
			if t.versions[key] == item.ResourceVersion {
				seen[key] = item.ResourceVersion
				continue
			}
			version, changed, err := t.ensureObject(ctx, kind, item.Name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			patched = patched || changed
			seen[key] = version
		}
	}
	t.versions = seen
	return patched, errors.Join(errs...)
}

// ensureObject returns the version of the object that trusts the bundle, and
// whether it was changed for that.
func (t *trust) ensureObject(ctx context.Context, kind kind, name string) (string, bool, error) {
	var lost error
	for range conflictLimit {
		object := kind.empty()
		if err := t.client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
			if apierrors.IsNotFound(err) {
				return "", false, nil
			}
			return "", false, fmt.Errorf("reading %s %s: %w", kind.gvk.Kind, name, err)
		}
		before, ok := object.DeepCopyObject().(client.Object)
		if !ok {
			return "", false, fmt.Errorf("copying %s %s gave another kind", kind.gvk.Kind, name)
		}
		t.apply(object)
		if equality.Semantic.DeepEqual(before, object) {
			return object.GetResourceVersion(), false, nil
		}
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if lost = t.client.Patch(ctx, object, patch, client.FieldOwner(FieldOwner)); lost == nil {
			return object.GetResourceVersion(), true, nil
		}
		if !apierrors.IsConflict(lost) {
			break
		}
	}
	return "", false, fmt.Errorf("writing the webhooks' authority into %s %s: %w", kind.gvk.Kind, name, lost)
}

func (t *trust) apply(object client.Object) {
	switch o := object.(type) {
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range o.Webhooks {
			t.endpoint.admission(&o.Webhooks[i].ClientConfig, t.bundle)
		}
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range o.Webhooks {
			t.endpoint.admission(&o.Webhooks[i].ClientConfig, t.bundle)
		}
	case *apiextensionsv1.CustomResourceDefinition:
		conversion := o.Spec.Conversion
		if conversion == nil || conversion.Webhook == nil || conversion.Webhook.ClientConfig == nil {
			return
		}
		t.endpoint.conversion(conversion.Webhook.ClientConfig, t.bundle)
	}
}
