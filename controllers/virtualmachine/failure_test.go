package virtualmachine_test

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

// These specs break hosts, so none runs beside another.
var _ = Describe("When a host fails", Ordered, Serial, func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = physics.Namespace(ctx, GinkgoT()) })

	hostOf := func(vm *capstanv1.VirtualMachine) *capstanv1.HyperVHost {
		return &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: vm.Spec.Placement.Host}}
	}
	gone := func(obj client.Object) {
		GinkgoHelper()
		Eventually(physics.get(obj)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
	}

	// silence stops the agent of a VM that is well, and waits until that is known.
	silence := func(vm *capstanv1.VirtualMachine) *capstanv1.HyperVHost {
		GinkgoHelper()
		Eventually(physics.settled(vm)).Should(beReady())
		host := hostOf(vm)
		physics.agents[host.Name].Stop()
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonHostUnreachable, ""))
		return host
	}
	// bury deletes a VM whose host is lost.
	bury := func(vm *capstanv1.VirtualMachine, host *capstanv1.HyperVHost) *capstanv1.Tombstone {
		GinkgoHelper()
		physics.update(host, func() { host.Spec.Lost = true })
		physics.remove(vm)
		gone(vm)
		tombstone := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: vm.Spec.ID}}
		Expect(physics.get(tombstone)()).To(Succeed())
		return tombstone
	}
	// comeBack lets the agent of a lost host answer again, and waits until the objects
	// are gone that were there for the dead.
	comeBack := func(host *capstanv1.HyperVHost, held ...client.Object) {
		GinkgoHelper()
		physics.agents[host.Name].Restart(nil)
		for _, obj := range held {
			gone(obj)
		}
		physics.update(host, func() { host.Spec.Lost = false })
		Eventually(physics.settled(host)).Should(beReady())
	}
	reservationOf := func(address string) *capstanv1.AddressReservation {
		return &capstanv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{
			Name: addresspool.ReservationName("lan", netip.MustParseAddr(address)),
		}}
	}

	It("says since when the host does not answer, deletes nothing, and goes on when it answers again", func(ctx SpecContext) {
		vm := physics.vm(namespace, "silent")
		Eventually(physics.settled(vm)).Should(beReady())
		host := hostOf(vm)
		agent := physics.agents[host.Name]
		agent.Stop()
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonHostUnreachable, "since"))
		Eventually(physics.settled(vm)).Should(SatisfyAll(
			wait(capstanv1.ReasonHostUnreachable, host.Name), HaveField("Status", metav1.ConditionUnknown)))
		Expect(vm.Status.Phase).To(Equal(capstanv1.VMRunning), "nobody has seen it stop")
		Eventually(physics.told(vm, capstanv1.ReasonHostUnreachable)).Should(Equal(1))

		physics.remove(vm)
		Eventually(physics.settled(vm)).Should(SatisfyAll(wait(capstanv1.ReasonHostUnreachable, "since"), HaveField("Status", metav1.ConditionFalse)))
		claim := &ipamv1.IPAddressClaim{}
		Expect(physics.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "silent-0"}, claim)).To(Succeed())
		Expect(claim.DeletionTimestamp).To(BeNil(), "the VM may still use its address")
		Expect(physics.physical(vm)).To(HaveLen(1))

		agent.Restart(nil)
		Eventually(physics.settled(host)).Should(beReady())
		gone(vm)
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("writes a tombstone for a lost host, holds the address, and frees it when the host has come back and honoured it", func(ctx SpecContext) {
		vm := physics.vm(namespace, "buried")
		host := silence(vm)
		tombstone := bury(vm, host)
		Expect(tombstone.Spec.Addresses).To(HaveLen(1))
		Expect(tombstone.Spec.Host).To(Equal(host.Name))
		reservation := reservationOf(vm.Status.Addresses[0])
		gone(&ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "buried-0"}})
		Expect(physics.get(reservation)()).To(Succeed())
		Expect(physics.physical(vm)).To(HaveLen(1))

		comeBack(host, tombstone, reservation)
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("buries a VM that is presumed lost once its host is silent, and not while the host answers", func() {
		presume := func(vm *capstanv1.VirtualMachine) {
			physics.update(vm, func() {
				metav1.SetMetaDataAnnotation(&vm.ObjectMeta, capstanv1.PresumedLostAnnotation, "2026-01-01T00:00:00Z")
			})
		}
		answered := physics.vm(namespace, "presumed-wrongly")
		Eventually(physics.settled(answered)).Should(beReady())
		presume(answered)
		physics.remove(answered)
		gone(answered)
		Expect(physics.get(&capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: answered.Spec.ID}})()).To(Satisfy(apierrors.IsNotFound), "its host has removed it")
		Expect(physics.physical(answered)).To(BeEmpty())

		vm := physics.vm(namespace, "presumed")
		host := silence(vm)
		physics.remove(vm)
		Eventually(physics.settled(vm)).Should(SatisfyAll(wait(capstanv1.ReasonHostUnreachable, "since"), HaveField("Status", metav1.ConditionFalse)))
		presume(vm)
		gone(vm)
		tombstone := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: vm.Spec.ID}}
		Expect(physics.get(tombstone)()).To(Succeed())
		Expect(physics.physical(vm)).To(HaveLen(1))

		comeBack(host, tombstone, reservationOf(vm.Status.Addresses[0]))
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("holds the address of a buried VM though all that told of it went with the namespace", func(ctx SpecContext) {
		vm := physics.vm(namespace, "swept")
		host := silence(vm)
		of := metav1.ObjectMeta{Namespace: namespace, Name: "swept-0"}
		physics.remove(&ipamv1.IPAddressClaim{ObjectMeta: of})
		physics.remove(&ipamv1.IPAddress{ObjectMeta: of})
		gone(&ipamv1.IPAddress{ObjectMeta: of})
		tombstone := bury(vm, host)
		Expect(tombstone.Spec.Addresses).To(ConsistOf(capstanv1.ReservedAddress{LogicalNetwork: "lan", Address: vm.Status.Addresses[0]}))
		gone(&ipamv1.IPAddressClaim{ObjectMeta: of})
		reservation := reservationOf(vm.Status.Addresses[0])
		Expect(physics.get(reservation)()).To(Succeed())

		comeBack(host, tombstone, reservation)
	})

	It("holds the VIPs and the virtual router ID that a buried load-balancer VM may have, and frees them when it is known to be dead", func(ctx SpecContext) {
		lb := metav1.OwnerReference{APIVersion: capstanv1.GroupVersion.String(), Kind: "LoadBalancer", Name: "shop", UID: "lb-of-the-buried", Controller: ptr.To(true)}
		labels := map[string]string{capstanv1.LoadBalancerLabel: "shop"}
		claim := &ipamv1.IPAddressClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: "shop-vip", Labels: labels, OwnerReferences: []metav1.OwnerReference{lb},
				Annotations: map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs},
				Finalizers:  []string{capstanv1.IPAddressClaimFinalizer},
			},
			Spec: ipamv1.IPAddressClaimSpec{PoolRef: ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: "lan"}},
		}
		vm := physics.vm(namespace, "buried-lb", func(vm *capstanv1.VirtualMachine) {
			vm.Labels, vm.OwnerReferences = labels, []metav1.OwnerReference{lb}
		})
		physics.create(claim)
		address := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claim.Name}}
		Eventually(physics.get(address)).Should(Succeed())
		router := &capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: addresspool.VirtualRouterReservationName("lan", 17), Labels: map[string]string{capstanv1.ClaimLabel: string(claim.UID)}},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: "lan", Address: addresspool.VirtualRouter(17),
				ClaimRef: capstanv1.ClaimReference{Namespace: namespace, Name: claim.Name, UID: string(claim.UID)},
			},
		}
		physics.create(router)
		host := silence(vm)
		tombstone := bury(vm, host)
		Expect(tombstone.Spec.Addresses).To(HaveExactElements(
			capstanv1.ReservedAddress{LogicalNetwork: "lan", Address: vm.Status.Addresses[0]},
			capstanv1.ReservedAddress{LogicalNetwork: "lan", Address: address.Spec.Address},
			capstanv1.ReservedAddress{LogicalNetwork: "lan", Address: addresspool.VirtualRouter(17)},
		))
		physics.remove(claim)
		gone(claim)
		reservation := reservationOf(address.Spec.Address)
		Expect(physics.get(reservation)()).To(Succeed(), "the buried VM may still have it")
		Expect(physics.get(router)()).To(Succeed(), "the buried VM may still speak for it")

		comeBack(host, tombstone, reservation, router)
	})

	It("buries a VM whose volume is gone, so that nothing waits for the dead", func(ctx SpecContext) {
		vm := physics.vm(namespace, "cut-off")
		Eventually(physics.settled(vm)).Should(beReady())
		fault := func(state fabricapi.FaultState) {
			_, err := physics.world.Admin().SetVolumeFault(ctx, fabricapi.SetVolumeFaultRequest{
				Site: vm.Spec.Placement.Host, Volume: vm.Spec.Placement.Disks[0].Volume, Fault: state,
			})
			Expect(err).NotTo(HaveOccurred())
		}
		fault(fabricapi.Dismounted)
		physics.remove(vm)
		gone(vm)
		tombstone := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: vm.Spec.ID}}
		Expect(physics.get(tombstone)()).To(Succeed())
		fault(fabricapi.Healthy)
		gone(tombstone)
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("does not talk to an agent with the wrong certificate, and does again when the right one is back", func(ctx SpecContext) {
		host := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: "hv1"}}
		Eventually(physics.settled(host)).Should(beReady())
		right := host.Spec.Endpoint
		impostor := agenttest.Start(GinkgoTB(), agenttest.Options{Driver: agenttest.NewDriver("hv1"), Name: "hv1"})
		physics.update(host, func() { host.Spec.Endpoint = impostor.Target.Address })
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonAgentCertificateMismatch, ""))
		Eventually(physics.told(host, capstanv1.ReasonAgentCertificateMismatch)).Should(Equal(1))
		Expect(host.Status.Volumes).NotTo(BeEmpty(), "what was last known stays")
		physics.update(host, func() { host.Spec.Endpoint = right })
		Eventually(physics.settled(host)).Should(beReady())
	})
})

var _ = Describe("Enrolment of a host", Serial, func() {
	stranger := func(with ...func(*capstanv1.HyperVHost)) (*capstanv1.HyperVHost, *agenttest.Host) {
		agent := agenttest.Start(GinkgoTB(), agenttest.Options{Driver: agenttest.NewDriver("stranger"), Name: "stranger", NotEnrolled: true})
		host := &capstanv1.HyperVHost{
			ObjectMeta: metav1.ObjectMeta{Name: "stranger"},
			Spec:       capstanv1.HyperVHostSpec{Endpoint: agent.Target.Address, EnrolmentTokenSecret: "token-stranger", Unschedulable: true},
		}
		for _, w := range with {
			w(host)
		}
		physics.create(host)
		DeferCleanup(func() {
			physics.remove(host)
			physics.remove(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: testenv.ManagerNamespace, Name: "token-stranger"}})
			Eventually(physics.get(host)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		})
		return host, agent
	}

	It("waits for a token, refuses a wrong one, and goes on with the right one, which is then gone", func() {
		host, agent := stranger()
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonWaitingForEnrolment, "token-stranger"))
		guess := pki.NewToken()
		wrong := tokenSecret("token-stranger", guess)
		physics.create(wrong)
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonEnrolmentFailed, "token-stranger"))
		Expect(conditions.Get(host, capstanv1.ReadyCondition).Message).NotTo(ContainSubstring(guess.Reveal()))
		physics.remove(wrong)
		right := tokenSecret("token-stranger", agent.Token)
		physics.create(right)
		Eventually(physics.settled(host)).Should(beReady())
		Eventually(physics.get(right)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(host.Status.Agent.Version).To(Equal("v0.0.0-test"))
	})
})
