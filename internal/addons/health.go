package addons

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Health is how an object is.
type Health int

// How an object is.
const (
	// Well is as it should be.
	Well Health = iota
	// Coming will be well if it is given time.
	Coming
	// Failed will not be well by itself.
	Failed
)

// Judge tells how an object is, and why, by the rules of kstatus: those by which Flux
// and others judge.
func Judge(object *unstructured.Unstructured) (health Health, why string) {
	result, err := status.Compute(object)
	if err != nil {
		return Coming, fmt.Sprintf("%s: its status cannot be read: %s", IDOf(object), err)
	}
	switch result.Status {
	case status.CurrentStatus:
		return Well, ""
	case status.FailedStatus:
		return Failed, fmt.Sprintf("%s: %s", IDOf(object), result.Message)
	default:
		return Coming, fmt.Sprintf("%s: %s", IDOf(object), result.Message)
	}
}
