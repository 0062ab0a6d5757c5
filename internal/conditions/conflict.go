package conditions

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// afterConflict is long enough for a cache to catch up in most cases, and too
// short for a person to notice.
const afterConflict = 50 * time.Millisecond

// RetryConflicts lets a reconciler that worked from a stale cache try again
// without an error in the log: that somebody else wrote first is no news. Nor is it
// that a namespace goes, in which nothing can be made any more: what is reconciled
// goes with it in a moment.
func RetryConflicts(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		result, err := r.Reconcile(ctx, req)
		if err != nil && isOnlyConflict(err) {
			return reconcile.Result{RequeueAfter: afterConflict}, nil
		}
		return result, err
	})
}

// isOnlyConflict tells whether nothing went wrong besides conflicts.
func isOnlyConflict(err error) bool {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return apierrors.IsConflict(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
	}
	for _, part := range joined.Unwrap() {
		if !isOnlyConflict(part) {
			return false
		}
	}
	return true
}
