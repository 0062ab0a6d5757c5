package loadbalancer

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestWhetherServicesMayHaveOneMoreAddress(t *testing.T) {
	vip := func(deleted bool) serviceVIP {
		claim := &ipamv1.IPAddressClaim{}
		if deleted {
			claim.DeletionTimestamp = &metav1.Time{Time: now}
		}
		return serviceVIP{claim: claim}
	}
	for name, tc := range map[string]struct {
		limit  *int32
		vips   []serviceVIP
		reason string
		says   string
	}{
		"there is no limit":           {vips: []serviceVIP{vip(false)}},
		"there is room":               {limit: ptr.To[int32](2), vips: []serviceVIP{vip(false)}, reason: capstanv1.ReasonAvailable},
		"one is being given back":     {limit: ptr.To[int32](2), vips: []serviceVIP{vip(false), vip(true)}, reason: capstanv1.ReasonQuotaUsedUp, says: "1 of them are being given back"},
		"there is room beside it":     {limit: ptr.To[int32](3), vips: []serviceVIP{vip(false), vip(true)}, reason: capstanv1.ReasonAvailable, says: "2 virtual addresses of 3 that they may have, and 1 of them"},
		"there is none":               {limit: ptr.To[int32](1), vips: []serviceVIP{vip(false)}, reason: capstanv1.ReasonQuotaUsedUp},
		"the limit was lowered":       {limit: ptr.To[int32](1), vips: []serviceVIP{vip(false), vip(false)}, reason: capstanv1.ReasonQuotaUsedUp},
		"no Service may have any":     {limit: ptr.To[int32](0), reason: capstanv1.ReasonQuotaUsedUp},
		"nobody asked for one so far": {limit: ptr.To[int32](3), reason: capstanv1.ReasonAvailable},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := NewWithT(t), &scope{lb: &capstanv1.LoadBalancer{}, planned: true, serviceVIPs: tc.vips}
			conditions.True(s.lb, capstanv1.ServiceVIPsAvailableCondition, "Earlier", "")
			s.lb.Spec.MaxServiceVIPs = tc.limit
			setServiceVIPs(s)
			told := conditions.Get(s.lb, capstanv1.ServiceVIPsAvailableCondition)
			if tc.reason == "" {
				g.Expect(told).To(BeNil())
				return
			}
			g.Expect(told.Reason).To(Equal(tc.reason))
			g.Expect(told.Message).To(ContainSubstring(tc.says))
			want := metav1.ConditionFalse
			if tc.reason == capstanv1.ReasonAvailable {
				want = metav1.ConditionTrue
			}
			g.Expect(told.Status).To(Equal(want))
		})
	}
}
