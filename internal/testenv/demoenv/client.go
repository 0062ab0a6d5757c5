package demoenv

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// NewScheme returns a scheme with all kinds that a watcher of the environment
// needs.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, clusterv1.AddToScheme, controlplanev1.AddToScheme, capstanv1.AddToScheme, infrav1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Client returns a client of the management API server, as its administrator.
func (e *Env) Client() (client.Client, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	api, err := client.New(e.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the management API server: %w", err)
	}
	return api, nil
}

// Conditioned is an object with conditions.
type Conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

// ReasonNotObserved is the reason of a condition that nobody has set yet.
const ReasonNotObserved = "NotObserved"

// ReadyOf returns the Ready condition, Unknown if it is missing or of an older
// generation.
func ReadyOf(object Conditioned) metav1.Condition {
	ready := meta.FindStatusCondition(object.GetConditions(), capstanv1.ReadyCondition)
	switch {
	case ready == nil:
		return metav1.Condition{Type: capstanv1.ReadyCondition, Status: metav1.ConditionUnknown, Reason: ReasonNotObserved, Message: "no controller has looked at it yet"}
	case ready.ObservedGeneration != object.GetGeneration():
		stale := *ready
		stale.Status = metav1.ConditionUnknown
		return stale
	default:
		return *ready
	}
}
