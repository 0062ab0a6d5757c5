package addon

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// notOwnedError says that an object is there already and is not the addon's.
type notOwnedError struct {
	object addons.ID
	// owner is the addon that has it, if any does.
	owner, addon string
}

// Error implements error.
func (e *notOwnedError) Error() string {
	if e.owner != "" {
		return fmt.Sprintf("%s is of addon %s: it can be in one addon only", e.object, e.owner)
	}
	return fmt.Sprintf("%s exists in the cluster and was not made by Capstan: it is left alone; to have it taken over, label it %s=%s, or delete it",
		e.object, capstanv1.AddonLabel, e.addon)
}

// notYetError says what must come about first.
type notYetError struct{ what string }

// Error implements error.
func (e *notYetError) Error() string { return "waiting for " + e.what }

// unknownKindError says that the cluster does not know kinds, or not yet.
type unknownKindError struct{ kinds []string }

// Error implements error.
func (e *unknownKindError) Error() string {
	return "waiting for the cluster to know " + strings.Join(e.kinds, "; ")
}

// rejectedError is of what will fail again until somebody changes something.
type rejectedError struct{ error }

// Unwrap returns why.
func (e *rejectedError) Unwrap() error { return e.error }

// outOfTimeError says how far an addon was applied when the turn was over.
type outOfTimeError struct{ done, of int }

// Error implements error.
func (e *outOfTimeError) Error() string {
	return fmt.Sprintf("%d of %s applied", e.done, counted(e.of))
}

func isOutOfTime(err error) bool {
	var outOfTime *outOfTimeError
	return errors.As(err, &outOfTime)
}

func isNotYet(err error) bool {
	var notYet *notYetError
	return errors.As(err, &notYet)
}

// isLost tells an error of the connection: no answer came from the API server.
func isLost(err error) bool {
	var transport *url.Error
	return errors.As(err, &transport)
}

// apiError returns what is told of an API server's answer about an object. Such answers
// quote what they do not like: of a Secret only the fields' names are told.
func apiError(object *unstructured.Unstructured, err error) error {
	var answer apierrors.APIStatus
	if object.GetKind() != "Secret" || !errors.As(err, &answer) || apierrors.IsNotFound(err) {
		return err
	}
	is := answer.Status()
	told := metav1.Status{Status: is.Status, Code: is.Code, Reason: is.Reason, Message: "the API server says " + string(cmp.Or(is.Reason, "Unknown"))}
	var fields []string
	if is.Details != nil {
		for _, cause := range is.Details.Causes {
			if cause.Field != "" {
				fields = append(fields, cause.Field)
			}
		}
	}
	if len(fields) > 0 {
		told.Message += " of " + strings.Join(fields, ", ")
	}
	told.Message += "; no more is told, for it may quote the Secret"
	return &apierrors.StatusError{ErrStatus: told}
}

func reasonOf(err error) string {
	var notOwned *notOwnedError
	var unknownKind *unknownKindError
	var rejected *rejectedError
	switch {
	case isOutOfTime(err):
		return capstanv1.ReasonProgressing
	case errors.As(err, &notOwned):
		return capstanv1.ReasonNotOwned
	case isNotYet(err):
		return capstanv1.ReasonWaitingForHealth
	case errors.As(err, &unknownKind):
		return capstanv1.ReasonWaitingForKind
	case errors.As(err, &rejected):
		return capstanv1.ReasonManifestsRejected
	default:
		return capstanv1.ReasonInternalError
	}
}
