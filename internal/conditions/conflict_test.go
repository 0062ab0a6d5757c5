package conditions_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestConflictsAreTriedAgainInSilence(t *testing.T) {
	conflict := fmt.Errorf("writing the status: %w", apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "a", errors.New("modified")))
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "a", errors.New("the namespace goes"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	other := errors.New("the host burns")
	for _, tc := range []struct {
		name  string
		err   error
		loud  bool
		again time.Duration
	}{
		{name: "success"},
		{name: "conflict", err: conflict, again: 50 * time.Millisecond},
		{name: "two conflicts", err: errors.Join(conflict, conflict), again: 50 * time.Millisecond},
		{name: "namespace that goes", err: fmt.Errorf("applying thing a: %w", terminating), again: 5 * time.Second},
		{name: "conflict in a namespace that goes", err: errors.Join(terminating, conflict), again: 5 * time.Second},
		{name: "something that is forbidden", err: apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "a", other), loud: true},
		{name: "something else", err: other, loud: true},
		{name: "something else beside a conflict", err: errors.Join(other, conflict), loud: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			own := reconcile.Result{RequeueAfter: time.Hour}
			r := conditions.RetryConflicts(reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return own, tc.err }))
			result, err := r.Reconcile(t.Context(), reconcile.Request{})
			if tc.loud {
				g.Expect(err).To(MatchError(tc.err))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			if tc.again > 0 {
				g.Expect(result).To(Equal(reconcile.Result{RequeueAfter: tc.again}))
				return
			}
			g.Expect(result).To(Equal(own))
		})
	}
}
