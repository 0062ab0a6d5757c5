package loadbalancer

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestVMsAreHeldBackOnlyWhereThereNeverWasAVIP(t *testing.T) {
	one := []candidate{member("a", rising)}
	for name, tc := range map[string]struct {
		vip   vip
		known []string
		all   []candidate
		want  bool
	}{
		"there is a VIP":                             {vip: vip{address: netip.MustParsePrefix("192.0.2.9/24"), vrid: 7, looksFull: true}},
		"it is being allocated":                      {vip: vip{}},
		"the network looks full":                     {vip: vip{looksFull: true}, want: true},
		"the network looks full, by this VIP maybe":  {vip: vip{looksFull: true}, all: one},
		"the network is full":                        {vip: vip{full: true}, want: true},
		"the network is full, and a VM was made":     {vip: vip{full: true}, all: one, want: true},
		"the network is full, and the cluster runs":  {vip: vip{full: true}, known: []string{"192.0.2.9"}},
		"what is known of the running one was lost":  {vip: vip{full: true}, all: []candidate{member("a", well), member("b", rising)}},
		"what is left of the running one was buried": {vip: vip{full: true}, known: []string{"192.0.2.9"}, all: one},
	} {
		t.Run(name, func(t *testing.T) {
			lb := &capstanv1.LoadBalancer{}
			lb.Status.VIPs = tc.known
			NewWithT(t).Expect((&scope{lb: lb, vip: tc.vip}).holdsBack(tc.all)).To(Equal(tc.want))
		})
	}
}
