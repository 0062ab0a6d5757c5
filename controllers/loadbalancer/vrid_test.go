package loadbalancer

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestAVirtualRouterIDIsReservedOnceThoughTheCacheIsLate(t *testing.T) {
	ctx := context.Background()
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
	lb.Spec.ClusterName, lb.Spec.LogicalNetwork = "shop", "lan"
	claim := func(uid types.UID) *ipamv1.IPAddressClaim {
		return &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop-vip", UID: uid}}
	}
	mine, theirs := claim("1"), claim("2")
	first := firstVRID(mine) + 1
	for name, cached := range map[string][]client.Object{
		"it shows none yet":                  nil,
		"it still shows who held it before":  {vridReservation(lb, theirs, first)},
		"it shows ours, which is gone again": {vridReservation(lb, mine, first)},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
			cache := fake.NewClientBuilder().WithScheme(scheme).WithObjects(cached...).Build()
			live := fake.NewClientBuilder().WithScheme(scheme).Build()
			r := &Reconciler{Live: live, Client: interceptor.NewClient(live, interceptor.Funcs{
				Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
					return cache.Get(ctx, key, obj, opts...)
				},
			})}
			for range 2 {
				got, err := r.tryVRID(ctx, lb, mine, first)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(got).To(BeTrue(), "another one would be reserved as well")
			}
			got, err := r.tryVRID(ctx, lb, theirs, first)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(BeFalse(), "it is taken")
		})
	}
}

func TestALoadBalancerKeepsTheVirtualRouterIDThatPassedToItsClaimAMomentAgo(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
	lb.Spec.LogicalNetwork, lb.Status.VRID = "lan", 7
	claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop-vip", UID: "now"}}
	earlier := claim.DeepCopy()
	earlier.UID = "earlier"
	is, shown := vridReservation(lb, claim, 7), vridReservation(lb, earlier, 7)
	index := func(obj client.Object) []string {
		if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
			return []string{reservation.Spec.ClaimRef.UID}
		}
		return nil
	}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(is).Build()
	cache := fake.NewClientBuilder().WithScheme(scheme).WithObjects(shown).WithIndex(&capstanv1.AddressReservation{}, claimIndex, index).Build()
	r := &Reconciler{Live: live, Client: interceptor.NewClient(live, interceptor.Funcs{
		List: func(ctx context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return cache.List(ctx, list, opts...)
		},
	})}
	g.Expect(r.vridOf(t.Context(), lb, claim)).To(Equal(int32(7)))
	held := &capstanv1.AddressReservationList{}
	g.Expect(live.List(t.Context(), held)).To(Succeed())
	g.Expect(held.Items).To(HaveLen(1), "it takes no second one")
}
