package conditions

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Holder is an object with conditions.
type Holder interface {
	metav1.Object
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
}

// maxMessage is the longest message that the API server accepts.
const maxMessage = 32768

// True sets a condition to True.
func True(obj Holder, conditionType, reason, format string, args ...any) {
	set(obj, conditionType, metav1.ConditionTrue, reason, format, args...)
}

// False sets a condition to False. The message says what is waited for.
func False(obj Holder, conditionType, reason, format string, args ...any) {
	set(obj, conditionType, metav1.ConditionFalse, reason, format, args...)
}

// Unknown sets a condition to Unknown: it could not be observed.
func Unknown(obj Holder, conditionType, reason, format string, args ...any) {
	set(obj, conditionType, metav1.ConditionUnknown, reason, format, args...)
}

func set(obj Holder, conditionType string, status metav1.ConditionStatus, reason, format string, args ...any) {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	message = strings.ToValidUTF8(message, "?")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	conditions := obj.GetConditions()
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message,
		ObservedGeneration: obj.GetGeneration(),
	})
	obj.SetConditions(conditions)
}

// Remove removes a condition.
func Remove(obj Holder, conditionType string) {
	conditions := obj.GetConditions()
	meta.RemoveStatusCondition(&conditions, conditionType)
	obj.SetConditions(conditions)
}

// Get returns a condition, or nil.
func Get(obj Holder, conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(obj.GetConditions(), conditionType)
}

// IsTrue tells whether a condition is True.
func IsTrue(obj Holder, conditionType string) bool {
	return meta.IsStatusConditionTrue(obj.GetConditions(), conditionType)
}

// IsCurrentlyTrue tells whether a condition is True for the present generation
// of the object, so that a status of an older spec is not taken for this one.
func IsCurrentlyTrue(obj Holder, conditionType string) bool {
	c := Get(obj, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration >= obj.GetGeneration()
}

// IsStillTrue tells whether a condition is True for the present generation of the
// object, or was for an earlier one if it has counted as True already: that the object
// was given more to do takes nothing away from what it does.
func IsStillTrue(obj Holder, conditionType string, counted bool) bool {
	return IsCurrentlyTrue(obj, conditionType) || counted && IsTrue(obj, conditionType)
}

// Summarize sets the summary condition from others, in the order of importance:
// the first that is not True gives its status, reason and message; one that is
// not there counts as Unknown. If all are True, reason and message are those
// given.
func Summarize(obj Holder, summary, reason, message string, conditionTypes ...string) {
	for _, t := range conditionTypes {
		switch c := Get(obj, t); {
		case c == nil:
			Unknown(obj, summary, reasonNotObserved, "%s is not known yet", t)
			return
		case c.Status != metav1.ConditionTrue:
			set(obj, summary, c.Status, c.Reason, "%s", c.Message)
			return
		}
	}
	set(obj, summary, metav1.ConditionTrue, reason, "%s", message)
}

// reasonNotObserved stands for a condition that no reconcile has set yet.
const reasonNotObserved = "NotObserved"
