package nodepool

import (
	"context"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// backwards lists what there is in another order than that of names, as a cache may.
func backwards(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, infrav1.AddToScheme, clusterv1.AddToScheme} {
		NewWithT(t).Expect(add(scheme)).To(Succeed())
	}
	list := func(ctx context.Context, c client.WithWatch, into client.ObjectList, opts ...client.ListOption) error {
		if err := c.List(ctx, into, opts...); err != nil {
			return err
		}
		items, err := meta.ExtractList(into)
		if err != nil {
			return err
		}
		slices.Reverse(items)
		return meta.SetList(into, items)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{List: list}).Build()
}

func TestWhatIsToldOfDoesNotDependOnTheOrderOfACache(t *testing.T) {
	g := NewWithT(t)
	pool := &capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-linux"}, Spec: capstanv1.NodePoolSpec{ClusterName: "shop"}}
	var objects []client.Object
	for _, name := range []string{"b", "a", "c"} {
		of := metav1.ObjectMeta{Namespace: "team", Name: name, Labels: translate.MachineLabels(pool)}
		objects = append(objects, &infrav1.HyperVMachine{ObjectMeta: of}, &clusterv1.MachineSet{ObjectMeta: of})
	}
	s := &scope{pool: pool}
	g.Expect((&Reconciler{Client: backwards(t, objects...)}).observe(t.Context(), s)).To(Succeed())
	g.Expect(s.machines).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
	g.Expect(s.sets).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
}
