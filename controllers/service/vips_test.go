package service

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func fakeWith(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, capstanv1.AddToScheme, ipamv1.AddToScheme} {
		NewWithT(t).Expect(add(scheme)).To(Succeed())
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func shop() *capstanv1.LoadBalancer {
	return &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "lb"}}
}

// given are a claim, which its finalizers hold, and the address that it was given.
func given(v *vips, c claimed, address string) []client.Object {
	claim := v.claimOf(c)
	claim.UID = types.UID(c.name)
	claim.Spec.PoolRef = ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: "lan"}
	claim.Status.AddressRef.Name = c.name
	return []client.Object{claim, &ipamv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: c.name,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(claim, ipamv1.GroupVersion.WithKind("IPAddressClaim"))},
		},
		Spec: ipamv1.IPAddressSpec{Address: address},
	}}
}

func TestNothingIsGivenBackBeforeItIsKnownWhoUsesWhat(t *testing.T) {
	g := NewWithT(t)
	lb := shop()
	v := &vips{lb: lb, book: newBook(lb), wanted: map[string]claimed{}}
	used, orphan := v.claimOf(claimed{name: "shop-vip-used", label: "used"}), v.claimOf(claimed{name: "shop-vip-orphan", label: "orphan"})
	orphan.Finalizers, used.Finalizers = nil, nil
	c := fakeWith(t, lb, used, orphan)
	v.client, v.live = c, c
	left := func() []string {
		claims := &ipamv1.IPAddressClaimList{}
		g.Expect(c.List(t.Context(), claims)).To(Succeed())
		var names []string
		for _, claim := range claims.Items {
			names = append(names, claim.Name)
		}
		return names
	}
	rung := 0
	v.allMet = func() { rung++ }
	g.Expect(v.expect(func() ([]string, error) { return []string{"default/web", "default/gone", "default/wrong"}, nil })).To(Succeed())

	v.wanted["default/web"] = claimed{name: used.Name}
	v.met("default/web")
	v.forget("default/gone")
	g.Expect(v.release(t.Context())).To(Succeed())
	g.Expect(left()).To(ConsistOf(used.Name, orphan.Name), "the third may use it")
	g.Expect(rung).To(BeZero())

	v.met("default/wrong")
	v.met("default/wrong")
	g.Expect(rung).To(Equal(1))
	g.Expect(v.release(t.Context())).To(Succeed())
	g.Expect(left()).To(ConsistOf(used.Name))
}

func TestAClusterHasNoMoreAddressesThanItMay(t *testing.T) {
	for name, tc := range map[string]struct {
		limit *int32
		ask   ask
		// has is the address that Service default/web has already.
		has string
		// leaving is what a claim has, or had, that is being deleted.
		leaving string
		refused bool
		waits   bool
	}{
		"there is no limit":                            {ask: ask{vipKey: "service/default/web"}},
		"there is room for one more":                   {limit: ptr.To[int32](3), ask: ask{vipKey: "service/default/web"}},
		"there is no room":                             {limit: ptr.To[int32](2), ask: ask{vipKey: "service/default/web"}, refused: true},
		"no Service may have one":                      {limit: ptr.To[int32](0), ask: ask{vipKey: "service/default/web"}, refused: true},
		"there is no room, but one to share":           {limit: ptr.To[int32](2), ask: ask{vipKey: "shared/default/a", shared: true}},
		"it has one already, and the limit is lowered": {limit: ptr.To[int32](1), ask: ask{vipKey: "service/default/web"}, has: "192.0.2.2"},
		"it wants another one in place of its own":     {limit: ptr.To[int32](2), ask: ask{vipKey: "service/default/web", address: "192.0.2.7"}, has: "192.0.2.2"},
		"one is being given back":                      {limit: ptr.To[int32](3), ask: ask{vipKey: "service/default/web"}, leaving: "192.0.2.3", waits: true},
		"one is being given back, and there is room":   {limit: ptr.To[int32](4), ask: ask{vipKey: "service/default/web"}, leaving: "192.0.2.3"},
		"its own was given back by somebody":           {limit: ptr.To[int32](2), ask: ask{vipKey: "service/default/web"}, has: "192.0.2.3", leaving: "192.0.2.3"},
		"its own was, and it wants another one":        {limit: ptr.To[int32](3), ask: ask{vipKey: "service/default/web", address: "192.0.2.7"}, has: "192.0.2.3", leaving: "192.0.2.3", waits: true},
		"it wants another one again and again":         {limit: ptr.To[int32](2), ask: ask{vipKey: "service/default/web", address: "192.0.2.7"}, has: "192.0.2.2", leaving: "192.0.2.3", waits: true},
		"it wants another one than others have":        {limit: ptr.To[int32](2), ask: ask{vipKey: "service/default/web", address: "192.0.2.7"}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, lb := NewWithT(t), shop()
			if tc.has != "" {
				lb.Spec.Services = []capstanv1.LoadBalancerService{{Name: "default/web", VIP: tc.has}}
			}
			v := &vips{lb: lb, book: newBook(lb), wanted: map[string]claimed{
				"default/first":  {name: "shop-vip-first", label: hash("shared/default/a"), address: "192.0.2.1"},
				"default/second": {name: "shop-vip-second", label: "second", address: "192.0.2.2"},
			}, limit: func() *int32 { return tc.limit }}
			objects := []client.Object{lb}
			if tc.leaving != "" {
				objects = append(objects, given(v, claimed{name: "shop-vip-leaving", label: "leaving"}, tc.leaving)...)
			}
			c := fakeWith(t, objects...)
			v.client, v.live = c, c
			if tc.leaving != "" {
				g.Expect(c.Delete(t.Context(), objects[1])).To(Succeed())
			}
			tc.ask.entry.Name = "default/web"
			_, err := v.choose(t.Context(), tc.ask)
			var waiting *waitingError
			if tc.waits {
				g.Expect(errors.As(err, &waiting)).To(BeTrue())
				g.Expect(v.uses("default/web")).To(BeFalse())
				return
			}
			if !tc.refused {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(v.uses("default/web")).To(BeTrue())
				return
			}
			var crowded *crowdedError
			g.Expect(errors.As(err, &crowded)).To(BeTrue())
			g.Expect(err).To(MatchError(ContainSubstring("the Services of this cluster have 2 virtual addresses")))
			g.Expect(v.uses("default/web")).To(BeFalse())
		})
	}
}

func TestASessionBeginsWithWhatTheAPIServerHas(t *testing.T) {
	g := NewWithT(t)
	lagging, is := shop(), shop()
	is.Spec.Services = []capstanv1.LoadBalancerService{{Name: "default/web", VIP: "192.0.2.9"}}
	r := &Reconciler{Live: fakeWith(t, is)}
	now, err := r.latest(t.Context(), lagging)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(newBook(now).users("192.0.2.9", "")).To(ConsistOf("default/web"))

	lagging.UID = "an earlier one"
	g.Expect(r.latest(t.Context(), lagging)).To(BeNil())
	r.Live = fakeWith(t)
	g.Expect(r.latest(t.Context(), shop())).To(BeNil())
}
