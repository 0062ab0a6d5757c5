package loadbalancer

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestWhoIsBelievedThatAVMIsNotHeardOf(t *testing.T) {
	vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "lb-a"}}
	vm.Status.Addresses = []string{"192.0.2.10"}
	says := func(role lbapi.Role, peers ...lbapi.PeerStatus) *lbapi.Status {
		return &lbapi.Status{VIPs: []lbapi.VIPStatus{{Role: role}}, Peers: peers}
	}
	there := lbapi.PeerStatus{Name: "lb-a", Address: "192.0.2.10"}
	silent := lbapi.PeerStatus{Name: "lb-a", Address: "192.0.2.10", Silent: true}
	for name, tc := range map[string]struct {
		others []*lbapi.Status
		want   word
	}{
		"there is no other":                           {want: nobodyKnows},
		"the other does not answer":                   {others: []*lbapi.Status{nil}, want: nobodyKnows},
		"the other has not listened":                  {others: []*lbapi.Status{says(lbapi.RoleActive)}, want: nobodyKnows},
		"the holder does not hear it":                 {others: []*lbapi.Status{says(lbapi.RoleActive, silent)}, want: notHeardOf},
		"the holder hears it":                         {others: []*lbapi.Status{says(lbapi.RoleActive, there)}, want: heardOf},
		"a standby does not hear it, nobody holds":    {others: []*lbapi.Status{says(lbapi.RoleStandby, silent)}, want: nobodyKnows},
		"a standby hears it":                          {others: []*lbapi.Status{says(lbapi.RoleStandby, there)}, want: heardOf},
		"neither the holder nor a standby hears it":   {others: []*lbapi.Status{says(lbapi.RoleStandby, silent), says(lbapi.RoleActive, silent)}, want: notHeardOf},
		"a standby hears it, and the holder does not": {others: []*lbapi.Status{says(lbapi.RoleActive, silent), says(lbapi.RoleStandby, there)}, want: heardOf},
		"only one that is not fit does not hear it":   {others: []*lbapi.Status{says(lbapi.RoleFault, silent)}, want: nobodyKnows},
		"the holder is an agent that does not listen": {others: []*lbapi.Status{says(lbapi.RoleActive), says(lbapi.RoleStandby, silent)}, want: nobodyKnows},
		"another VM is not heard": {
			others: []*lbapi.Status{says(lbapi.RoleActive, lbapi.PeerStatus{Name: "lb-c", Address: "192.0.2.10", Silent: true})}, want: nobodyKnows,
		},
		"it has another address by now": {
			others: []*lbapi.Status{says(lbapi.RoleActive, lbapi.PeerStatus{Name: "lb-a", Address: "192.0.2.11", Silent: true})}, want: nobodyKnows,
		},
	} {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(hearsay(vm, tc.others)).To(Equal(tc.want)) })
	}
}
