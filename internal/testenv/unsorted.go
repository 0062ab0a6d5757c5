package testenv

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// NewUnsortedClient returns a client of the given objects and of no API server. It
// lists them in another order than that of their names, as a cache may.
func NewUnsortedClient(t T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, "registering kinds", addKinds(scheme))
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{List: listBackwards}).Build()
}

func listBackwards(ctx context.Context, c client.WithWatch, into client.ObjectList, opts ...client.ListOption) error {
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
