package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// writes counts what a client writes, by where, verb and kind, and what it tried in vain
// as a failure of that verb.
type writes struct {
	mu    sync.Mutex
	times map[string]map[string]int
}

// everywhere is the place of what could be anywhere.
const everywhere = ""

// place is where an object is that no two specs share.
func place(obj client.Object) string {
	if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
		return reservation.Spec.LogicalNetwork
	}
	return obj.GetNamespace()
}

func (w *writes) count(where, verb string, what any, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		verb = "fail to " + verb
	}
	if w.times[where] == nil {
		w.times[where] = map[string]int{}
	}
	w.times[where][fmt.Sprintf("%s %T", verb, what)]++
	return err
}

// in returns how often each verb was used on each kind in some places.
func (w *writes) in(places ...string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]int{}
	for _, where := range places {
		for what, times := range w.times[where] {
			all[what] += times
		}
	}
	return all
}

// unwatching is a client that interceptor takes.
type unwatching struct{ client.Client }

// Watch implements client.WithWatch.
func (unwatching) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	return nil, errors.New("the client of a manager does not watch")
}

// of returns a client all of whose writes are counted.
func (w *writes) of(c client.Client) client.Client {
	return interceptor.NewClient(unwatching{c}, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return w.count(place(obj), "create", obj, c.Create(ctx, obj, opts...))
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			return w.count(place(obj), "update", obj, c.Update(ctx, obj, opts...))
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return w.count(place(obj), "patch", obj, c.Patch(ctx, obj, patch, opts...))
		},
		Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return w.count(everywhere, "apply", obj, c.Apply(ctx, obj, opts...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return w.count(place(obj), "delete", obj, c.Delete(ctx, obj, opts...))
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteAllOfOption) error {
			return w.count(everywhere, "delete all of", obj, c.DeleteAllOf(ctx, obj, opts...))
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, name string, obj, sub client.Object, opts ...client.SubResourceCreateOption) error {
			return w.count(place(obj), "create "+name+" of", obj, c.SubResource(name).Create(ctx, obj, sub, opts...))
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, name string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.count(place(obj), "update "+name+" of", obj, c.SubResource(name).Update(ctx, obj, opts...))
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.count(place(obj), "patch "+name+" of", obj, c.SubResource(name).Patch(ctx, obj, patch, opts...))
		},
		SubResourceApply: func(ctx context.Context, c client.Client, name string, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			return w.count(everywhere, "apply "+name+" of", obj, c.SubResource(name).Apply(ctx, obj, opts...))
		},
	})
}

var _ = Describe("Many IPAddressClaims at once", func() {
	It("cost three writes each: the reservation, the address, and where it is", func(ctx SpecContext) {
		const many = 100
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.1", "10.20.0.200"))
		namespace := env.Namespace(ctx, GinkgoT())
		var claims []*ipamv1.IPAddressClaim
		for i := range many {
			// Whoever of ours claims an address claims it with the finalizer.
			claims = append(claims, newClaim(namespace, fmt.Sprintf("vm-%d", i), network.Name, func(c *ipamv1.IPAddressClaim) {
				c.Finalizers = []string{capstanv1.IPAddressClaimFinalizer}
			}))
		}
		var all sync.WaitGroup
		for _, claim := range claims {
			all.Go(func() {
				defer GinkgoRecover()
				env.Create(ctx, claim)
			})
		}
		all.Wait()
		for _, claim := range claims {
			addressOf(ctx, claim)
		}
		count := func() map[string]int { return written.in(network.Name, namespace, everywhere) }
		three := Equal(map[string]int{
			"create *v1alpha1.AddressReservation":     many,
			"create *v1beta2.IPAddress":               many,
			"patch status of *v1beta2.IPAddressClaim": many,
		})
		// The API server shows a write before whoever wrote has counted it.
		Eventually(count).Should(three, "no more, and none in vain for an address that another one has")
		Consistently(count, "1s").Should(three, "nothing is written again once the cache shows it")
	})
})
