package testenv

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// Answering has a host's agent answer since a moment.
func Answering(since time.Time) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) {
		conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
		ChangedAt(h, capstanv1.AgentConnectedCondition, since)
	}
}

// Silent has a host be silent since a moment.
func Silent(since time.Time) func(*capstanv1.HyperVHost) {
	return Refusing(capstanv1.ReasonHostUnreachable, since)
}

// Refusing has a host's agent not be heard for some reason since a moment.
func Refusing(reason string, since time.Time) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, reason, "no answer")
		ChangedAt(h, capstanv1.AgentConnectedCondition, since)
	}
}

// WithFault has a host's volume have a fault since a moment.
func WithFault(fault string, since time.Time) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) {
		when := metav1.NewTime(since)
		h.Status.Volumes[0].Fault, h.Status.Volumes[0].FaultSince = fault, &when
	}
}

// ChangedAt sets since when a condition is as it is.
func ChangedAt(obj conditions.Holder, conditionType string, since time.Time) {
	list := obj.GetConditions()
	for i := range list {
		if list[i].Type == conditionType {
			list[i].LastTransitionTime = metav1.NewTime(since)
		}
	}
	obj.SetConditions(list)
}
