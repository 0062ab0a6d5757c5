package addon

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

func configMap(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": "default", "name": name},
	}}
}

func TestWhatWasAppliedBeforeAFailureIsAppliedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		fails error
		again int
	}{
		"something is not there yet": {fails: &notYetError{"it"}, again: 1},
		"something failed":           {fails: errors.New("out of order"), again: 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			fails, times := tc.fails, 0
			api := fake.NewClientBuilder().WithRESTMapper(testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme)).WithInterceptorFuncs(interceptor.Funcs{
				Apply: func(ctx context.Context, c client.WithWatch, intent runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
					switch (&unstructured.Unstructured{Object: intent.(runtime.Unstructured).UnstructuredContent()}).GetName() {
					case "first":
						times++
					case "second":
						if fails != nil {
							return fails
						}
					}
					return c.Apply(ctx, intent, opts...)
				},
			}).Build()
			app, err := addons.New("app", "default", []*unstructured.Unstructured{configMap("first"), configMap("second")}, capstanv1.AddonApplied)
			g.Expect(err).NotTo(HaveOccurred())
			r := &Reconciler{Clock: clock.RealClock{}, Resync: time.Hour}
			round := func() *step {
				one := &step{name: "app", addon: app}
				s := &scope{
					wlc: &capstanv1.WorkloadCluster{}, steps: []*step{one}, claims: claims{}, site: &site{api}, due: time.Hour,
					turn: turn{r.Clock, r.Clock.Now().Add(time.Hour)},
				}
				g.Expect(r.bring(t.Context(), s, one)).To(Succeed())
				return one
			}
			g.Expect(round().applied).To(BeFalse())

			first := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "first"}}
			g.Expect(api.Delete(t.Context(), first)).To(Succeed())
			fails = nil
			g.Expect(round().applied).To(BeTrue())
			g.Expect(times).To(Equal(tc.again))
		})
	}
}
