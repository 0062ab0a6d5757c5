package conditions

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Failed sets a condition to False because of err, which is of the given reason.
// That nothing can be made in a namespace that is being deleted is no fault of
// anybody, whichever call was the first to find out.
func Failed(obj Holder, conditionType, reason string, err error) {
	if reason == capstanv1.ReasonInternalError && isOfGoingNamespaceOnly(err) {
		False(obj, conditionType, capstanv1.ReasonDeleting, "namespace %s is being deleted", obj.GetNamespace())
		return
	}
	False(obj, conditionType, reason, "%s", err)
}

func isOfGoingNamespaceOnly(err error) bool {
	return isOnly(err, isConflictOrOfGoingNamespace) && !isOnly(err, apierrors.IsConflict)
}
