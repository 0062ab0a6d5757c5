package conditions_test

import (
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAFailureInANamespaceThatGoesIsADeletion(t *testing.T) {
	things := schema.GroupResource{Resource: "things"}
	going := apierrors.NewForbidden(things, "a", errors.New("unable to create new content in namespace shop because it is being terminated"))
	going.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	conflict := apierrors.NewConflict(things, "a", errors.New("modified"))
	other := errors.New("the host burns")
	const internal, wait = capstanv1.ReasonInternalError, capstanv1.ReasonImageNotFound
	for _, tc := range []struct {
		name, reason string
		err          error
		want         string
		message      string
	}{
		{"namespace that goes", internal, fmt.Errorf("applying thing a: %w", going), capstanv1.ReasonDeleting, "namespace shop is being deleted"},
		{"two calls in a namespace that goes", internal, errors.Join(going, going), capstanv1.ReasonDeleting, "namespace shop is being deleted"},
		{"conflict beside it", internal, errors.Join(conflict, going), capstanv1.ReasonDeleting, "namespace shop is being deleted"},
		{"fault beside it", internal, errors.Join(going, other), internal, errors.Join(going, other).Error()},
		{"conflict", internal, conflict, internal, conflict.Error()},
		{"something else", internal, other, internal, "the host burns"},
		{"reason that is known better", wait, going, wait, going.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pool := &capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop-linux", Generation: 3}}
			conditions.Failed(pool, capstanv1.ReadyCondition, tc.reason, tc.err)
			got := conditions.Get(pool, capstanv1.ReadyCondition)
			got.LastTransitionTime = metav1.Time{}
			NewWithT(t).Expect(*got).To(Equal(metav1.Condition{
				Type: capstanv1.ReadyCondition, Status: metav1.ConditionFalse, Reason: tc.want, Message: tc.message, ObservedGeneration: 3,
			}))
		})
	}
}
