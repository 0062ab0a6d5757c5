package ipam

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestWhoeverMayUseAnAddressKeepsIt(t *testing.T) {
	vrid := func() *capstanv1.AddressReservation { return ofBalancer("vrid/7", "shop-vip") }
	vip := func() *capstanv1.AddressReservation {
		return ofBalancer("10.20.0.100", "shop-vip-5a3d0c9e7b1f2a4c6d8e")
	}
	onLAN := func(address string) func(*capstanv1.VirtualMachine) {
		return func(vm *capstanv1.VirtualMachine) {
			vm.Spec.Networks, vm.Status.Addresses = []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}, []string{address}
		}
	}
	instanceOf := func(uid types.UID) func(*capstanv1.VirtualMachine) {
		return func(vm *capstanv1.VirtualMachine) {
			vm.OwnerReferences = []metav1.OwnerReference{{Kind: "LoadBalancer", Name: "shop", UID: uid, Controller: ptr.To(true)}}
		}
	}
	machine := func(uid types.UID, providerID string) *infrav1.HyperVMachine {
		return &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "m", UID: uid}, Spec: infrav1.HyperVMachineSpec{ProviderID: providerID}}
	}
	for name, c := range map[string]struct {
		held *capstanv1.AddressReservation
		by   client.Object
		// reason is why it is held, "" if it is not.
		reason capstanv1.UnclaimedReason
	}{
		"nobody":                           {held: ofVM()},
		"nobody, a virtual router ID":      {held: vrid()},
		"nobody, and nobody ever knew who": {held: unowned()},

		"the VM it was for":                             {ofVM(), vmObject("team", "vm", "uid-of-vm"), capstanv1.UnclaimedInUse},
		"the VM it was for, made again from a backup":   {ofVM(), vmObject("team", "vm", "new", func(vm *capstanv1.VirtualMachine) { vm.Spec.ID = idOfVM }), capstanv1.UnclaimedInUse},
		"not another VM of its name":                    {ofVM(), vmObject("team", "vm", "later"), ""},
		"another VM of its name that says it has it":    {ofVM(), vmObject("team", "vm", "later", onLAN("10.20.0.10")), capstanv1.UnclaimedInUse},
		"any VM that says it has it":                    {ofVM(), vmObject("other", "x", "x", onLAN("10.20.0.10")), capstanv1.UnclaimedInUse},
		"not a VM with another address":                 {ofVM(), vmObject("other", "x", "x", onLAN("10.20.0.11")), ""},
		"the machine whose VirtualMachine was deleted":  {ofVM(), machine(idOfVM, ""), capstanv1.UnclaimedInUse},
		"that machine, moved from elsewhere":            {ofVM(), machine("new", "hyperv://"+idOfVM), capstanv1.UnclaimedInUse},
		"not another machine":                           {ofVM(), machine("new", "hyperv://another"), ""},
		"the VM of the claim's name":                    {unowned(), vmObject("team", "vm", "x"), capstanv1.UnclaimedInUse},
		"not a VM of that name elsewhere":               {unowned(), vmObject("other", "vm", "x"), ""},
		"not a VM whose name merely begins so":          {left("10.20.0.10", "vm-1-0", nil), vmObject("team", "vm", "x"), ""},
		"not load balancer shop, what a VM of shop had": {left("10.20.0.10", "shop-pool-7d9f-x2x4k-0", nil), balancer("shop", "uid-of-shop"), ""},

		"the load balancer":                            {vrid(), balancer("shop", "uid-of-shop"), capstanv1.UnclaimedInUse},
		"the load balancer of the claim's name":        {left("vrid/7", "shop-vip", nil), balancer("shop", "x"), capstanv1.UnclaimedInUse},
		"the load balancer of a Service's claim":       {left("10.20.0.100", "shop-vip-5a3d0c9e7b1f2a4c6d8e", nil), balancer("shop", "x"), capstanv1.UnclaimedInUse},
		"not load balancer shop, what shop-vip has":    {left("10.20.0.100", "shop-vip-vip", nil), balancer("shop", "x"), ""},
		"not another load balancer of its name":        {vrid(), balancer("shop", "later"), ""},
		"a load balancer that says it has the address": {vip(), balancer("x", "x", func(lb *capstanv1.LoadBalancer) { lb.Status.VIPs = []string{"10.20.0.100"} }), capstanv1.UnclaimedInUse},
		"a load balancer that carries a Service on it": {vip(), balancer("x", "x", func(lb *capstanv1.LoadBalancer) {
			lb.Spec.Services = []capstanv1.LoadBalancerService{{VIP: "10.20.0.100"}}
		}), capstanv1.UnclaimedInUse},
		"a load balancer that says it has the router ID": {vrid(), balancer("x", "x", func(lb *capstanv1.LoadBalancer) { lb.Status.VRID = 7 }), capstanv1.UnclaimedInUse},
		"not one of another network":                     {vrid(), balancer("x", "x", func(lb *capstanv1.LoadBalancer) { lb.Spec.LogicalNetwork, lb.Status.VRID = "dmz", 7 }), ""},
		"a VM of the load balancer, which is gone":       {vip(), vmObject("team", "shop-lb-2fv8b", "x", instanceOf("uid-of-shop")), capstanv1.UnclaimedInUse},
		"not a VM of another load balancer":              {vip(), vmObject("team", "shop-lb-2fv8b", "x", instanceOf("later")), ""},

		"a Tombstone that names it":                           {ofVM(), tombstone(holding("10.20.0.10")), capstanv1.UnclaimedBuried},
		"not one that is honoured":                            {ofVM(), tombstone(holding("10.20.0.10"), honoured), ""},
		"not one of another VM":                               {ofVM(), tombstone(holding("10.20.0.11")), ""},
		"a Tombstone of the VM, written after the claim went": {ofVM(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.ID = idOfVM }), capstanv1.UnclaimedBuried},
		"a Tombstone of the load balancer's VM":               {vip(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "shop-lb-2fv8b" }), capstanv1.UnclaimedBuried},
		"not one of a VM of NodePool shop-lb":                 {vip(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "shop-lb-7d9f-x2x4k" }), ""},

		"a Tombstone of the VM of the claim's name":               {unowned(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "vm" }), capstanv1.UnclaimedBuried},
		"not one of another VM of that namespace":                 {unowned(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "vm-1" }), ""},
		"not one of a VM of that name elsewhere":                  {unowned(), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef = capstanv1.VMReference{Namespace: "other", Name: "vm"} }), ""},
		"a Tombstone of a VM of the claim's load balancer":        {left("vrid/7", "shop-vip", nil), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "shop-lb-2fv8b" }), capstanv1.UnclaimedBuried},
		"not one of a node, where the claim is a load balancer's": {left("vrid/7", "shop-vip", nil), tombstone(func(t *capstanv1.Tombstone) { t.Spec.VMRef.Name = "shop-lb-7d9f-x2x4k" }), ""},

		"the claim": {ofVM(), waiter("team", "vm-0", 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var objects []client.Object
			if c.by != nil {
				objects = append(objects, c.by)
			}
			k := newKeeper(t, append(objects, c.held)...)
			k.look(t)
			network, again := k.wait(t, abandonedGrace-time.Second)
			g.Expect(k.reservations(t)).To(HaveLen(1), "whoever takes a claim away may be about to take the VM, too")
			if _, claimed := c.by.(*ipamv1.IPAddressClaim); claimed {
				g.Expect(network.Status.UnclaimedCount).To(BeZero())
				return
			}
			g.Expect(network.Status.UnclaimedCount).To(Equal(int32(1)))
			if c.reason != "" {
				network, _ = k.wait(t, 2*abandonedGrace)
				g.Expect(k.reservations(t)).To(HaveLen(1))
				g.Expect(network.Status.Unclaimed).To(HaveExactElements(SatisfyAll(HaveField("Reason", c.reason), HaveField("Message", Not(BeEmpty())))))
				g.Expect(conditions.IsTrue(network, capstanv1.NoneAbandonedCondition)).To(BeTrue(), "somebody is known")
				g.Expect(k.told.Of(network.UID)).To(BeEmpty())
				return
			}
			g.Expect(again).To(Equal(time.Second))
			g.Expect(network.Status.Unclaimed).To(HaveExactElements(HaveField("Reason", capstanv1.UnclaimedGracePeriod)))
			network, _ = k.wait(t, time.Second)
			g.Expect(k.reservations(t)).To(BeEmpty())
			g.Expect(network.Status.UnclaimedCount).To(BeZero())
			g.Expect(conditions.IsTrue(network, capstanv1.NoneAbandonedCondition)).To(BeTrue())
			g.Expect(k.told.Reasons(network.UID)).To(ConsistOf("AbandonedAddressFreed"))
		})
	}
}

func TestAnAbandonedAddressIsFreedByWhoeverWorksThen(t *testing.T) {
	g := NewWithT(t)
	k := newKeeper(t, ofVM(), answering("hv1"))
	k.look(t)
	k.abandoned = abandoned{}
	k.wait(t, abandonedGrace)
	g.Expect(k.reservations(t)).To(HaveLen(1), "a manager that takes over waits anew")
	k.wait(t, abandonedGrace)
	g.Expect(k.reservations(t)).To(BeEmpty())
}

func TestWhatAClaimLeftBehindGoesWithItsAddress(t *testing.T) {
	for name, c := range map[string]struct {
		owner types.UID
		spec  func(*ipamv1.IPAddressSpec)
		stays bool
	}{
		"it belongs to the claim":      {owner: "team/vm-0"},
		"the collector took its owner": {},
		"it is a later claim's":        {owner: "later", stays: true},
		"it is another address":        {spec: func(s *ipamv1.IPAddressSpec) { s.Address = "10.20.0.11" }, stays: true},
		"it is another provider's":     {spec: func(s *ipamv1.IPAddressSpec) { s.PoolRef.Kind = "OtherPool" }, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			address := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm-0"}}
			address.Spec = ipamv1.IPAddressSpec{Address: "10.20.0.10", PoolRef: ipamv1.IPPoolReference{APIGroup: "capstan.dev", Kind: "LogicalNetwork", Name: "lan"}}
			if c.owner != "" {
				address.OwnerReferences = []metav1.OwnerReference{{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "vm-0", UID: c.owner, Controller: ptr.To(true)}}
			}
			if c.spec != nil {
				c.spec(&address.Spec)
			}
			k := newKeeper(t, ofVM(), address)
			k.look(t)
			k.wait(t, abandonedGrace)
			g.Expect(k.reservations(t)).To(BeEmpty())
			want := 0
			if c.stays {
				want = 1
			}
			g.Expect(k.addresses(t)).To(Equal(want))
		})
	}
}
