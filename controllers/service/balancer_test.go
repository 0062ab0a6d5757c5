package service

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAServiceThatIsTornAwayMeanwhileIsStruckOut(t *testing.T) {
	for name, tc := range map[string]struct {
		gone, given, kept bool
	}{
		"it is there": {given: true, kept: true},
		"it has gone": {gone: true, given: true},
		"it has gone, and there was no address yet": {gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, lb := NewWithT(t), shop()
			v := &vips{lb: lb, book: newBook(lb), clock: clock.RealClock{}, changed: &bell{}, wanted: map[string]claimed{}, limit: func() *int32 { return nil }}
			web := newService()
			wanted, err := askOf(web)
			g.Expect(err).NotTo(HaveOccurred())
			held := given(v, claimed{name: "shop-vip-web", label: hash(wanted.vipKey)}, "192.0.2.1")
			if !tc.given {
				claim, ok := held[0].(*ipamv1.IPAddressClaim)
				g.Expect(ok).To(BeTrue())
				claim.Status.AddressRef.Name = ""
				conditions.False(claim, ipamv1.IPAddressClaimReadyCondition, capstanv1.ReasonInvalidSpec, "there is none")
			}
			c := fakeWith(t, append(held, lb)...)
			v.client, v.live, v.applier = c, c, &apply.Applier{Client: c, Live: c}
			b := &balancer{
				book: v.book, vips: v, batch: newBatcher(clock.RealClock{}, nil, nil), writer: newWriter(c, lb, v.book, func() ([]capstanv1.LoadBalancerNode, error) { return nil, nil }),
				carried: func(int64, string) bool { return false }, isGone: func(string) bool { return tc.gone },
			}
			_, err = b.EnsureLoadBalancer(t.Context(), "shop", web, nil)
			g.Expect(err == nil).To(Equal(tc.given), "%v", err)
			g.Expect(v.book.has("default/web")).To(Equal(tc.kept))
			g.Expect(v.uses("default/web")).To(Equal(tc.kept))
			g.Expect(b.batch.isDirty()).To(BeTrue(), "what is no longer used is given back")
		})
	}
}
