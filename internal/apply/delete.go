package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Delete deletes the child named key and tells whether it is gone. An object
// that is not owner's counts as gone and is left alone. It is read past the
// cache, into child, since a child that the cache has not seen yet would be left
// behind.
func (a *Applier) Delete(ctx context.Context, owner metav1.Object, child client.Object, key client.ObjectKey) (gone bool, err error) {
	err = a.Live.Get(ctx, key, child)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading %T %s: %w", child, key, err)
	case !OwnedBy(child, owner.GetUID()):
		return true, nil
	case !child.GetDeletionTimestamp().IsZero():
		return false, nil
	}
	uid := child.GetUID()
	if err := a.Client.Delete(ctx, child, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting %T %s: %w", child, key, err)
	}
	return false, nil
}
