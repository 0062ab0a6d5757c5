package conditions

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// afterConflict is long enough for a cache to catch up in most cases, and too
	// short for a person to notice.
	afterConflict = 50 * time.Millisecond
	// inGoingNamespace is longer: what is reconciled goes with its namespace in a
	// moment, or it is one that may not be deleted, and stays for as long as it takes.
	inGoingNamespace = 5 * time.Second
)

// RetryConflicts lets a reconciler that worked from a stale cache try again
// without an error in the log: that somebody else wrote first is no news. Nor is it
// that a namespace goes, in which nothing can be made any more.
func RetryConflicts(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		result, err := r.Reconcile(ctx, req)
		switch {
		case err == nil:
			return result, nil
		case isOnly(err, apierrors.IsConflict):
			return reconcile.Result{RequeueAfter: afterConflict}, nil
		case isOnly(err, isConflictOrOfGoingNamespace):
			return reconcile.Result{RequeueAfter: inGoingNamespace}, nil
		}
		return result, err
	})
}

func isConflictOrOfGoingNamespace(err error) bool {
	return apierrors.IsConflict(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// isOnly tells whether nothing went wrong but what is expected.
func isOnly(err error, expected func(error) bool) bool {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return expected(err)
	}
	for _, part := range joined.Unwrap() {
		if !isOnly(part, expected) {
			return false
		}
	}
	return true
}
