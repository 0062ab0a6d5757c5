package addon

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// Annotations by which an object asks to stay when its addon has it no more. They are
// those of cli-utils, which kpt and others know, too.
const (
	onRemoveAnnotation = "cli-utils.sigs.k8s.io/on-remove"
	onRemoveKeep       = "keep"
	deletionAnnotation = "client.lifecycle.config.k8s.io/deletion"
	deletionDetach     = "detach"
)

// removeRest removes the addons that have left the spec, also those that only the
// cluster remembers. What is to be applied comes first: it may take over what they have.
func (r *Reconciler) removeRest(ctx context.Context, s *scope) error {
	if s.cut {
		return nil
	}
	key, now := client.ObjectKeyFromObject(s.wlc), r.Clock.Now()
	leaving := false
	for _, one := range s.steps {
		if one.leaves {
			leaving = true
			one.waits(capstanv1.ReasonDeleting, "removing: %s", s.absent)
		}
	}
	if s.site == nil || !leaving && now.Sub(r.applied.sweptAt(key, s.made())) < r.Resync {
		return nil
	}
	for _, one := range s.steps {
		if !one.leaves && !one.applied {
			for _, other := range s.steps {
				if other.leaves {
					other.waits(capstanv1.ReasonDeleting, "removing: waiting for addon %s to be applied", one.name)
				}
			}
			return nil
		}
	}
	found, err := s.site.inventories(ctx)
	if err != nil {
		return err
	}
	for _, name := range found {
		if s.step(name) != nil {
			continue
		}
		if len(s.steps) >= mostSteps {
			s.lookAgain(refused)
			break
		}
		s.steps = append(s.steps, &step{name: name, leaves: true})
	}
	for _, one := range s.steps {
		if !one.leaves {
			continue
		}
		if err := r.remove(ctx, s, one); err != nil {
			return err
		}
	}
	r.applied.sweep(key, s.made(), now)
	return nil
}

// mostSteps is how many addons are told of, more than a spec can have.
const mostSteps = 64

// remove removes an addon that has left the spec. Once nothing is left of it there is
// nothing more to tell.
func (r *Reconciler) remove(ctx context.Context, s *scope, one *step) error {
	inventory, err := s.site.inventory(ctx, one.name)
	if err != nil {
		return s.failed(ctx, one, err, r.Clock.Now())
	}
	is, err := s.site.remove(ctx, one.name, inventory.Without(nil), s.claims, s.turn)
	if err != nil {
		return s.failed(ctx, one, err, r.Clock.Now())
	}
	if rest := is.rest.With(is.left); len(rest) > 0 {
		waiting := ""
		if !is.cut {
			waiting = fmt.Sprintf("waiting for %s to be gone; ", rest[0])
		}
		one.waits(capstanv1.ReasonDeleting, "removing: %s%s left", waiting, counted(len(rest)))
		s.lookAgain(one.patience(r.Clock.Now()))
		s.cut = s.cut || s.turn.over()
		return nil
	}
	if err := s.site.forget(ctx, one.name); err != nil {
		return s.failed(ctx, one, err, r.Clock.Now())
	}
	r.applied.drop(client.ObjectKeyFromObject(s.wlc), s.made(), one.name)
	one.gone = true
	return nil
}

// removal is how far objects are removed.
type removal struct {
	// rest are not gone yet, and left are those for another addon that is to have them.
	rest, left addons.Inventory
	// cut tells that the turn was over before all that could go was asked to.
	cut bool
}

// remove deletes the objects of an addon, one group after the other. Those that it does
// not come to before the turn is over are not gone yet.
func (s *site) remove(ctx context.Context, addon string, groups []addons.Inventory, claims claims, t turn) (is removal, err error) {
	begun := false
	for i, group := range groups {
		for j, id := range group {
			if begun && t.over() {
				is.rest, is.cut = append(is.rest, group[j:]...), true
				break
			}
			begun = true
			fate, err := s.removeObject(ctx, addon, id, claims)
			switch {
			case err != nil:
				return removal{}, err
			case fate == going:
				is.rest = append(is.rest, id)
			case fate == claimed:
				is.left = append(is.left, id)
			}
		}
		if len(is.rest) > 0 {
			for _, later := range groups[i+1:] {
				is.rest = append(is.rest, later...)
			}
			return is, nil
		}
	}
	return is, nil
}

// fate is what becomes of an object that its addon wants no more.
type fate int

const (
	// gone is no longer the addon's.
	gone fate = iota
	// going is being deleted.
	going
	// claimed is left for another addon to take over.
	claimed
)

// removeObject deletes an object if it is the addon's and no other addon wants it. It is
// deleted as it was looked at, or not at all.
func (s *site) removeObject(ctx context.Context, addon string, id addons.ID, claims claims) (fate, error) {
	mapping, err := s.RESTMapper().RESTMapping(id.GroupKind())
	if meta.IsNoMatchError(err) {
		return gone, nil
	}
	if err != nil {
		return going, fmt.Errorf("looking for the kind of %s: %w", id, err)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(mapping.GroupVersionKind)
	key := client.ObjectKey{Namespace: id.Namespace, Name: id.Name}
	err = s.Get(ctx, key, live)
	switch {
	case apierrors.IsNotFound(err):
		return gone, nil
	case err != nil:
		return going, fmt.Errorf("reading %s: %w", id, err)
	case live.GetLabels()[capstanv1.AddonLabel] != addon || asksToStay(live):
		return gone, nil
	case live.GetDeletionTimestamp() != nil:
		return going, nil
	case claims.byOther(addon, id):
		return claimed, nil
	}
	uid, version := live.GetUID(), live.GetResourceVersion()
	if err := s.Delete(ctx, live, client.Preconditions{UID: &uid, ResourceVersion: &version}, client.PropagationPolicy("Background")); client.IgnoreNotFound(err) != nil {
		return going, fmt.Errorf("deleting %s: %w", id, err)
	}
	if err := s.Get(ctx, key, live); !apierrors.IsNotFound(err) {
		return going, client.IgnoreNotFound(err)
	}
	return gone, nil
}

func asksToStay(object *unstructured.Unstructured) bool {
	annotations := object.GetAnnotations()
	return annotations[onRemoveAnnotation] == onRemoveKeep || annotations[deletionAnnotation] == deletionDetach
}
