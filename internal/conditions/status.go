package conditions

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// copyStatus makes the status of to that of from.
func copyStatus(to, from Object) error {
	toMap, err := runtime.DefaultUnstructuredConverter.ToUnstructured(to)
	if err != nil {
		return err
	}
	fromMap, err := runtime.DefaultUnstructuredConverter.ToUnstructured(from)
	if err != nil {
		return err
	}
	if status, ok := fromMap["status"]; ok {
		toMap["status"] = status
	} else {
		delete(toMap, "status")
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(toMap, to)
}

// IsFault tells a reason that somebody must look at from one that merely waits.
// By convention all reasons that merely wait or work are named so.
func IsFault(reason string) bool {
	for _, prefix := range []string{"WaitingFor", "Progressing", "Deleting", "Paused", "Creating", "Starting", "Staging", "Ready", reasonNotObserved} {
		if strings.HasPrefix(reason, prefix) {
			return false
		}
	}
	return true
}
