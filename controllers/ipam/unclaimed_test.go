package ipam

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestTheStatusOfANetworkNamesWhoHoldsItsAddresses(t *testing.T) {
	g := NewWithT(t)
	const many = capstanv1.MostUnclaimed + 4
	objects := []client.Object{tombstone(holding("10.20.0.10"), func(t *capstanv1.Tombstone) { t.CreationTimestamp = metav1.Unix(900, 0) })}
	for i := range many {
		objects = append(objects, left(fmt.Sprintf("10.20.0.%d", 10+i), fmt.Sprintf("vm%d-0", i), &capstanv1.UserReference{Kind: "VirtualMachine", Name: fmt.Sprintf("vm%d", i), UID: "gone"}))
	}
	for i := range 3 {
		claim := waiter("shop", fmt.Sprintf("vm%d-0", i), 1)
		held := NewReservation(claim, "lan", fmt.Sprintf("lan-10.20.0.4%d", i), fmt.Sprintf("10.20.0.4%d", i))
		objects = append(objects, claim, held)
	}
	vip := waiter("shop", "shop-vip", 1, func(c *ipamv1.IPAddressClaim) { c.Spec.ClusterName = "shop" })
	objects = append(objects, vip, NewReservation(vip, "lan", "lan-10.20.0.100", "10.20.0.100"), NewReservation(vip, "lan", "lan-vrid-7", "vrid/7"))
	k := newKeeper(t, objects...)
	network, _ := k.look(t)
	g.Expect(network.Status.UnclaimedCount).To(BeEquivalentTo(many))
	g.Expect(network.Status.Unclaimed).To(HaveLen(capstanv1.MostUnclaimed))
	g.Expect(network.Status.Unclaimed[:2]).To(HaveExactElements(
		capstanv1.UnclaimedAddress{
			Address: "10.20.0.10", Claim: "team/vm0-0", Reason: capstanv1.UnclaimedBuried, Since: metav1.Unix(900, 0),
			Message: "Tombstone tomb: VM team/another may still run on host hv1",
		},
		SatisfyAll(HaveField("Address", "10.20.0.11"), HaveField("Reason", capstanv1.UnclaimedGracePeriod), HaveField("Since", metav1.Unix(1000, 0))),
	), "the longest held first")
	g.Expect(conditions.Get(network, capstanv1.NoneAbandonedCondition)).To(SatisfyAll(
		HaveField("Reason", capstanv1.ReasonGracePeriod), HaveField("Message", HavePrefix(fmt.Sprintf("held without a claim, for nobody who is known: %d, such as 10.20.0.11: hosts are asked", many-1)))))
	g.Expect(network.Status.Users).To(Equal([]capstanv1.NetworkUser{
		{Namespace: "team", Addresses: many}, {Namespace: "shop", Addresses: 3}, {Namespace: "shop", ClusterName: "shop", VirtualAddresses: 1},
	}))
	version := network.ResourceVersion
	network, _ = k.wait(t, time.Minute)
	g.Expect(network.ResourceVersion).To(Equal(version), "waiting writes nothing")
}

func TestAReservationTellsWhomItIsFor(t *testing.T) {
	owned := waiter("team", "vm-0", 1, func(c *ipamv1.IPAddressClaim) {
		c.Labels = map[string]string{capstanv1.VMIDLabel: idOfVM}
		c.OwnerReferences = []metav1.OwnerReference{{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm", Controller: ptr.To(true)}}
	})
	g := NewWithT(t)
	g.Expect(NewReservation(owned, "lan", "lan-10.20.0.10", "10.20.0.10")).To(HaveField("Spec.UserRef",
		&capstanv1.UserReference{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm", VMID: idOfVM}))
	g.Expect(NewReservation(waiter("team", "vm-0", 1), "lan", "lan-10.20.0.10", "10.20.0.10")).To(HaveField("Spec.UserRef", BeNil()))
}
