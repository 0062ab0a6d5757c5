package ipam_test

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// writes counts what is written, by verb and kind, and what was tried in vain as a
// failure of that verb.
type writes struct {
	client.Client
	mu    sync.Mutex
	times map[string]int
}

func (w *writes) count(verb string, obj client.Object, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		verb = "fail to " + verb
	}
	w.times[fmt.Sprintf("%s %T in %s", verb, obj, obj.GetNamespace())]++
	return err
}

func (w *writes) of(verb string, obj client.Object, namespace string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[fmt.Sprintf("%s %T in %s", verb, obj, namespace)]
}

// Create implements client.Client.
func (w *writes) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return w.count("create", obj, w.Client.Create(ctx, obj, opts...))
}

// Patch implements client.Client.
func (w *writes) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return w.count("patch", obj, w.Client.Patch(ctx, obj, patch, opts...))
}

// Status implements client.Client.
func (w *writes) Status() client.SubResourceWriter { return &statusWrites{w.Client.Status(), w} }

type statusWrites struct {
	client.SubResourceWriter
	writes *writes
}

// Patch implements client.SubResourceWriter.
func (s *statusWrites) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.writes.count("tell", obj, s.SubResourceWriter.Patch(ctx, obj, patch, opts...))
}

var _ = Describe("Many IPAddressClaims at once", func() {
	It("cost three writes each: the reservation, the address, and where it is", func(ctx SpecContext) {
		const many = 100
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.1", "10.20.0.200"))
		namespace := env.Namespace(ctx, GinkgoT())
		before, inVain := written.of("create", &capstanv1.AddressReservation{}, ""), written.of("fail to create", &capstanv1.AddressReservation{}, "")
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
		Expect(written.of("create", &capstanv1.AddressReservation{}, "") - before).To(Equal(many))
		Expect(written.of("fail to create", &capstanv1.AddressReservation{}, "")).To(Equal(inVain), "none tries an address that another one has")
		Expect(written.of("create", &ipamv1.IPAddress{}, namespace)).To(Equal(many))
		Expect(written.of("tell", &ipamv1.IPAddressClaim{}, namespace)).To(Equal(many))
		Expect(written.of("patch", &ipamv1.IPAddressClaim{}, namespace)).To(BeZero())
	})
})
