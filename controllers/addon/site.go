package addon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// site is a workload cluster.
type site struct{ client.Client }

// apply makes the cluster have an addon, and nothing of it that it no longer holds. What
// may be made is written down first: whatever happens in between, it is found again. It
// returns the objects that are not known to be well, and those that it leaves to another
// addon that is to have them. Once the turn is over it leaves the rest, and goes on there
// in the next one of the pass.
func (s *site) apply(ctx context.Context, addon *addons.Addon, claims claims, p *pass, t turn) (is applied, err error) {
	objects, unknown, err := s.locate(addon)
	if err != nil {
		return applied{}, err
	}
	wanted := make(addons.Inventory, 0, len(objects))
	for _, object := range objects {
		wanted = append(wanted, addons.IDOf(object))
	}
	present, err := s.inventory(ctx, addon.Name)
	if err != nil {
		return applied{}, err
	}
	all := present.With(wanted)
	if err := s.record(ctx, addon.Name, present, all); err != nil {
		return applied{}, err
	}
	if is.unwell, err = s.applyAll(ctx, addon, objects, claims, p, t); err != nil {
		return applied{}, err
	}
	if len(unknown) > 0 {
		return applied{}, &unknownKindError{unknown}
	}
	unwanted, err := s.remove(ctx, addon.Name, all.Without(wanted), claims, t)
	if err != nil {
		return applied{}, err
	}
	if err := s.record(ctx, addon.Name, all, wanted.With(unwanted.rest).With(unwanted.left)); err != nil {
		return applied{}, err
	}
	switch {
	case unwanted.cut:
		return applied{}, &outOfTimeError{len(p.done), len(addon.Objects)}
	case len(unwanted.rest) > 0:
		return applied{}, &notYetError{fmt.Sprintf("%s, which is no longer in the manifests, to be gone", unwanted.rest[0])}
	}
	is.left = unwanted.left
	return is, nil
}

// applyAll applies the objects that the pass has not applied yet, and returns those that
// are not known to be well.
func (s *site) applyAll(ctx context.Context, addon *addons.Addon, objects []*unstructured.Unstructured, claims claims, p *pass, t turn) ([]*unstructured.Unstructured, error) {
	// What is needed before all that is no definition.
	var undefined []*unstructured.Unstructured
	begun := false
	for _, object := range objects {
		switch {
		case p.done[addons.IDOf(object)]:
			continue
		case len(undefined) > 0 && !addons.Defines(object):
			_, why := worst(undefined)
			return nil, &notYetError{why}
		case begun && t.over():
			return nil, &outOfTimeError{len(p.done), len(addon.Objects)}
		}
		begun = true
		if err := s.applyObject(ctx, addon.Name, object, claims); err != nil {
			return nil, err
		}
		p.take(object, t.clock.Now())
		if !p.done[addons.IDOf(object)] {
			undefined = append(undefined, object)
		}
	}
	return append(slices.Clone(p.unwell), undefined...), nil
}

// worst returns the worst health of objects, and why.
func worst(objects []*unstructured.Unstructured) (addons.Health, string) {
	health, reason := addons.Well, ""
	for _, object := range objects {
		if is, why := addons.Judge(object); is > health {
			health, reason = is, why
		}
	}
	return health, reason
}

// judge looks again at objects that were not well. It returns those that still are not,
// and the worst of it. Once the turn is over the rest is taken to be as it was, and looked
// at first the next time.
func (s *site) judge(ctx context.Context, objects []*unstructured.Unstructured, t turn) (unwell []*unstructured.Unstructured, health addons.Health, why string, err error) {
	for i, object := range objects {
		if i > 0 && t.over() {
			if was, reason := worst(objects[i:]); was > health {
				health, why = was, reason
			}
			return append(slices.Clone(objects[i:]), unwell...), health, why, nil
		}
		is := &unstructured.Unstructured{}
		is.SetGroupVersionKind(object.GroupVersionKind())
		err := s.Get(ctx, client.ObjectKeyFromObject(object), is)
		switch {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			// Somebody deletes it. The next time that all is applied it is made again.
			unwell = append(unwell, object)
			if health == addons.Well {
				health, why = addons.Coming, addons.IDOf(object).String()+", which is gone"
			}
			continue
		case err != nil:
			return nil, 0, "", fmt.Errorf("reading %s: %w", addons.IDOf(object), err)
		}
		found, reason := addons.Judge(is)
		if found == addons.Well {
			continue
		}
		unwell = append(unwell, is)
		if found > health {
			health, why = found, reason
		}
	}
	return unwell, health, why, nil
}

// locate returns copies of the addon's objects with their namespaces, and the kinds that
// the cluster does not know, nor would know once they are applied.
func (s *site) locate(addon *addons.Addon) (objects []*unstructured.Unstructured, unknown []string, err error) {
	for _, object := range addon.Objects {
		object = object.DeepCopy()
		namespaced, err := s.isNamespaced(object, addon)
		if meta.IsNoMatchError(err) {
			unknown = append(unknown, object.GroupVersionKind().String())
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("looking for the kind of %s: %w", addons.IDOf(object), err)
		}
		switch {
		case namespaced && object.GetNamespace() == "":
			object.SetNamespace(addon.Namespace)
		case !namespaced && object.GetNamespace() != "":
			return nil, nil, &rejectedError{fmt.Errorf("%s has a namespace, and objects of its kind have none: take it out", addons.IDOf(object))}
		}
		objects = append(objects, object)
	}
	slices.Sort(unknown)
	return objects, slices.Compact(unknown), nil
}

// isNamespaced tells whether an object has a namespace, by the cluster or else by the
// definition that is applied with it.
func (s *site) isNamespaced(object *unstructured.Unstructured, addon *addons.Addon) (bool, error) {
	kind := object.GroupVersionKind()
	mapping, err := s.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err == nil {
		return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
	}
	if !meta.IsNoMatchError(err) {
		return false, err
	}
	for _, definition := range addon.Objects {
		if namespaced, defines := addons.DefinesKind(definition, kind); defines {
			return namespaced, nil
		}
	}
	return false, err
}

// applyObject applies one object, which is left as the cluster has it then. One that is
// there and was not made for the addon is not touched, unless its addon is no more or
// wants it no more.
func (s *site) applyObject(ctx context.Context, addon string, object *unstructured.Unstructured, claims claims) error {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	id := addons.IDOf(object)
	err := s.Get(ctx, client.ObjectKeyFromObject(object), live)
	switch owner := live.GetLabels()[capstanv1.AddonLabel]; {
	case apierrors.IsNotFound(err):
	case meta.IsNoMatchError(err):
		return &unknownKindError{[]string{object.GroupVersionKind().String()}}
	case err != nil:
		return fmt.Errorf("reading %s: %w", id, err)
	case owner == "", owner != addon && claims.by(owner, id):
		return &notOwnedError{id, owner, addon}
	case live.GetDeletionTimestamp() != nil:
		return &notYetError{fmt.Sprintf("%s, which is being deleted, to be gone", id)}
	default:
		// The write is for the object that was looked at, or for none.
		object.SetUID(live.GetUID())
	}
	err = s.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(capstanv1.FieldOwner), client.ForceOwnership)
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err):
		return &unknownKindError{[]string{object.GroupVersionKind().String()}}
	case isRejection(err):
		return &rejectedError{fmt.Errorf("applying %s: %w", id, apiError(object, err))}
	default:
		return fmt.Errorf("applying %s: %w", id, apiError(object, err))
	}
}

// isRejection tells an answer that will be the same until somebody changes something.
func isRejection(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) ||
		apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err) ||
		status.Status().Code == 415)
}
