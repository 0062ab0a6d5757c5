package hypervcluster

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// A status that is worked out from half a reconcile must not say that all is well.
func TestAFinalizerThatCannotBeWrittenIsToldAndNothingElse(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clusterv1.AddToScheme, infrav1.AddToScheme, capstanv1.AddToScheme} {
		g.Expect(add(scheme)).To(Succeed())
	}
	infra := &infrav1.HyperVCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", OwnerReferences: []metav1.OwnerReference{{
			APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: "shop", UID: "uid",
		}}},
		Spec: infrav1.HyperVClusterSpec{LogicalNetwork: "lan", LoadBalancer: &infrav1.LoadBalancer{
			LoadBalancerSettings: capstanv1.LoadBalancerSettings{Image: "linux"},
		}},
	}
	conditions.False(infra, clusterv1.PausedCondition, clusterv1.NotPausedReason, "")
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(infra, cluster).WithStatusSubresource(infra).
		WithInterceptorFuncs(interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("no connection")
		}}).Build()
	r := &Reconciler{Client: c, Live: c, Clock: clock.RealClock{}, writer: &conditions.Writer{Client: c, Summary: capstanv1.ReadyCondition}}
	key := client.ObjectKeyFromObject(infra)
	_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	g.Expect(err).To(MatchError(ContainSubstring("adding the finalizer to HyperVCluster team/shop: no connection")))
	g.Expect(c.Get(t.Context(), key, infra)).To(Succeed())
	g.Expect(infra.Status.Initialization.Provisioned).To(BeNil())
	g.Expect(conditions.Get(infra, capstanv1.ReadyCondition)).To(HaveValue(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonInternalError), HaveField("Message", ContainSubstring("no connection")),
	)))
}
