package conditions

import capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"

// UnlessTold returns the error that ended a reconcile if trying again may mend
// it, that is, if its reason is no better known than InternalError. The others
// stand in the status, and a watch brings the next reconcile.
func UnlessTold(reason string, err error) error {
	if reason == capstanv1.ReasonInternalError {
		return err
	}
	return nil
}
