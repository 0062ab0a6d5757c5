package ipam

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// foundVM is a VM as a host lists it.
func foundVM(id, owner string, with ...func(*hostapi.VM)) hostapi.VM {
	vm := hostapi.VM{Stamp: hostapi.Stamp{Installation: here, ID: hostapi.VMID(id)}, Name: "found", Owner: owner, State: hostapi.StateRunning}
	for _, f := range with {
		f(&vm)
	}
	return vm
}

func TestNoAddressIsFreedThatAHostHasAVMFor(t *testing.T) {
	remnant := func(vm *hostapi.VM) { vm.Name, vm.State = "", hostapi.StatePartial }
	reports := func(address string) func(*hostapi.VM) {
		return func(vm *hostapi.VM) { vm.NICs = []hostapi.NICStatus{{Addresses: []string{address}}} }
	}
	unread := func(vm *hostapi.VM) { vm.State = hostapi.StateFailed }
	another := func(vm *hostapi.VM) { vm.Stamp.Installation = "another" }
	balancers := func() *capstanv1.AddressReservation { return ofBalancer("10.20.0.100", "shop-vip") }
	buriedAs := func(id string) *capstanv1.Tombstone {
		return tombstone(func(t *capstanv1.Tombstone) { t.Spec.ID, t.Spec.VMRef.Name = id, "x" })
	}
	for name, c := range map[string]struct {
		held  *capstanv1.AddressReservation
		found hostapi.VM
		also  client.Object
		kept  bool
	}{
		"of its ID":   {held: ofVM(), found: foundVM(idOfVM, "elsewhere/renamed"), kept: true},
		"of its name": {held: ofVM(), found: foundVM("x", "team/vm"), kept: true},
		"that is off": {held: ofVM(), found: foundVM("x", "team/vm", func(vm *hostapi.VM) { vm.State = hostapi.StateOff }), kept: true},
		"of which its host cannot tell whose it was":       {held: ofVM(), found: foundVM("x", ""), kept: true},
		"whose guest has it":                               {held: ofVM(), found: foundVM("x", "other/x", reports("10.20.0.10")), kept: true},
		"whose guest has it, of another installation":      {held: ofVM(), found: foundVM("x", "other/x", reports("10.20.0.10"), another), kept: true},
		"whose guest has it, and that has an object":       {held: ofVM(), found: foundVM("x", "other/x", reports("10.20.0.10")), also: vmObject("other", "x", "x"), kept: true},
		"that could not be read, of another installation":  {held: ofVM(), found: foundVM("x", "other/x", unread, another), kept: true},
		"that could not be read, and has an object":        {held: ofVM(), found: foundVM("x", "other/x", unread), also: vmObject("other", "x", "x"), kept: true},
		"but not one that failed and whose guest is heard": {held: ofVM(), found: foundVM("x", "other/x", unread, reports("10.20.0.11")), kept: false},
		"but not of another name":                          {held: ofVM(), found: foundVM("x", "team/x"), kept: false},
		"but not of that name elsewhere":                   {held: ofVM(), found: foundVM("x", "other/vm"), kept: false},
		"but not of another installation":                  {held: ofVM(), found: foundVM("x", "team/vm", another), kept: false},
		"but not if it has an object of its own":           {held: ofVM(), found: foundVM("x", "team/vm"), also: vmObject("team", "vm", "x"), kept: false},
		"but not if only a remnant is left":                {held: ofVM(), found: foundVM(idOfVM, "team/vm", remnant), kept: false},
		"or that an agent is still making":                 {held: ofVM(), found: foundVM(idOfVM, "team/vm", remnant, func(vm *hostapi.VM) { vm.Operation = &hostapi.Operation{Ref: "1"} }), kept: true},
		"of the load balancer":                             {held: balancers(), found: foundVM("x", "team/shop-lb-2fv8b"), kept: true},
		"but not of another load balancer":                 {held: balancers(), found: foundVM("x", "team/web-lb-2fv8b"), kept: false},
		"but not a node, where it was a load balancer's":   {held: balancers(), found: foundVM("x", "team/shop-lb-7d9f-x2x4k"), kept: false},
		"of the namespace, if nobody knows whose it was":   {held: unowned(), found: foundVM("x", "team/x"), kept: true},
		"likewise, which is buried":                        {held: unowned(), found: foundVM("x", "team/x"), also: buriedAs("x"), kept: true},
		"but not of another namespace":                     {held: unowned(), found: foundVM("x", "other/x"), kept: false},
		"but not one whose Tombstone tells whose it was":   {held: ofVM(), found: foundVM("x", ""), also: buriedAs("x"), kept: false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			objects := []client.Object{c.held, answering("hv1"), answering("hv2")}
			if c.also != nil {
				objects = append(objects, c.also)
			}
			k := newKeeper(t, objects...)
			k.hosts["hv2"] = agent{vms: []hostapi.VM{c.found}}
			k.look(t)
			network, again := k.wait(t, abandonedGrace)
			if !c.kept {
				g.Expect(k.reservations(t)).To(BeEmpty())
				return
			}
			g.Expect(k.reservations(t)).To(HaveLen(1))
			g.Expect(again).To(Equal(askHostsAgain))
			g.Expect(network.Status.Unclaimed).To(HaveExactElements(SatisfyAll(
				HaveField("Reason", capstanv1.UnclaimedOrphansFound), HaveField("Message", ContainSubstring(string(c.found.Stamp.ID))), HaveField("Message", ContainSubstring("on host hv2")))))
			g.Expect(conditions.Get(network, capstanv1.NoneAbandonedCondition)).To(SatisfyAll(
				HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonOrphansFound)))

			k.hosts["hv2"] = agent{}
			network, _ = k.wait(t, again)
			g.Expect(k.reservations(t)).To(BeEmpty(), "it is gone by now")
			g.Expect(conditions.IsTrue(network, capstanv1.NoneAbandonedCondition)).To(BeTrue())
		})
	}
}

func TestNoAddressIsFreedBeforeEveryHostHasSaidWhatItHolds(t *testing.T) {
	silent := func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
	}
	for name, c := range map[string]struct {
		host  *capstanv1.HyperVHost
		agent agent
		says  string
	}{
		"which is silent":                       {host: testenv.NewHyperVHost("hv2", silent), says: "host hv2 does not answer"},
		"of which nothing is known yet":         {host: testenv.NewHyperVHost("hv2", func(h *capstanv1.HyperVHost) { h.Status = capstanv1.HyperVHostStatus{} }), says: "host hv2 does not answer"},
		"which answers, and cannot list":        {host: answering("hv2"), agent: agent{err: errors.New("a volume cannot be read")}, says: "host hv2 could not list what it holds"},
		"which is declared lost":                {host: answering("hv2", func(h *capstanv1.HyperVHost) { h.Spec.Lost = true }), says: "host hv2 is declared lost"},
		"which is silent in a failover cluster": {host: testenv.NewHyperVHost("hv2", silent, func(h *capstanv1.HyperVHost) { h.Status.FailoverCluster = "fc1" }), says: "host hv2 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k := newKeeper(t, ofVM(), answering("hv1", func(h *capstanv1.HyperVHost) { h.Status.FailoverCluster = c.host.Status.FailoverCluster }), c.host)
			k.hosts["hv2"] = c.agent
			k.look(t)
			network, again := k.wait(t, abandonedGrace)
			g.Expect(k.reservations(t)).To(HaveLen(1))
			g.Expect(again).To(Equal(askHostsAgain))
			g.Expect(network.Status.Unclaimed).To(HaveExactElements(SatisfyAll(
				HaveField("Reason", capstanv1.UnclaimedWaitingForHost), HaveField("Message", HavePrefix(c.says)))))
			g.Expect(conditions.Get(network, capstanv1.NoneAbandonedCondition)).To(SatisfyAll(
				HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonWaitingForHost),
				HaveField("Message", ContainSubstring("kubectl delete addressreservation lan-10.20.0.10"))))

			g.Expect(k.Delete(t.Context(), c.host)).To(Succeed())
			k.wait(t, again)
			g.Expect(k.reservations(t)).To(BeEmpty(), "the host was taken away")
		})
	}
}

func TestHostsAreNotAskedAtEveryLook(t *testing.T) {
	g := NewWithT(t)
	k := newKeeper(t, ofVM(), testenv.NewHyperVHost("hv1", func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
	}))
	k.look(t)
	network, _ := k.wait(t, abandonedGrace)
	g.Expect(k.asked).To(Equal(1))
	version := network.ResourceVersion
	for range 3 {
		network, again := k.wait(t, time.Minute)
		g.Expect(again).To(BeNumerically("<", askHostsAgain))
		g.Expect(network.Status.Unclaimed).To(HaveExactElements(HaveField("Reason", capstanv1.UnclaimedWaitingForHost)))
		g.Expect(network.ResourceVersion).To(Equal(version))
	}
	g.Expect(k.asked).To(Equal(1))
	k.wait(t, 2*time.Minute)
	g.Expect(k.asked).To(Equal(2))
}

func TestWhatHostsSaidBeforeAnAddressWasAbandonedIsNoAnswer(t *testing.T) {
	g := NewWithT(t)
	vm := vmObject("team", "vm", "uid-of-vm")
	k := newKeeper(t, ofVM(), vm, answering("hv1"))
	k.look(t)
	// Somebody asked when the VM was not made yet.
	k.clock.SetTime(k.clock.Now().Add(time.Hour))
	_, err := k.Census.Since(t.Context(), k.clock.Now())
	g.Expect(err).NotTo(HaveOccurred())
	k.hosts["hv1"] = agent{vms: []hostapi.VM{foundVM(idOfVM, "team/vm")}}
	g.Expect(k.Delete(t.Context(), vm)).To(Succeed())
	network, _ := k.look(t)
	g.Expect(network.Status.Unclaimed).To(HaveExactElements(HaveField("Since.Time", BeTemporally("==", k.clock.Now()))))
	k.wait(t, abandonedGrace)
	g.Expect(k.reservations(t)).To(HaveLen(1), "the VM runs on")
}
