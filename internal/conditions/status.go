package conditions

import (
	"fmt"
	"reflect"
	"strings"
)

// withStatus returns obj with the status of another object of its type. It shares
// what it holds with both, and is for reading only.
func withStatus(obj, other Object) (Object, error) {
	from, to := reflect.ValueOf(obj), reflect.ValueOf(other)
	if from.Type() != to.Type() || from.Kind() != reflect.Pointer || from.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("%T is not of the type %T", other, obj)
	}
	result := reflect.New(from.Type().Elem())
	result.Elem().Set(from.Elem())
	status := result.Elem().FieldByName("Status")
	if !status.IsValid() {
		return nil, fmt.Errorf("%T has no status", obj)
	}
	status.Set(to.Elem().FieldByName("Status"))
	joined, ok := result.Interface().(Object)
	if !ok {
		return nil, fmt.Errorf("%T has no conditions", obj)
	}
	return joined, nil
}

// IsFault tells a reason that somebody must look at from one that merely waits.
// By convention all reasons that merely wait or work are named so.
func IsFault(reason string) bool {
	for _, prefix := range []string{"WaitingFor", "Progressing", "Deleting", "Paused", "Creating", "Starting", "Staging", "Draining", "Ready", reasonNotObserved} {
		if strings.HasPrefix(reason, prefix) {
			return false
		}
	}
	return true
}
