package virtualmachine_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

var _ = Describe("A VirtualMachine", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = physics.Namespace(ctx, GinkgoT()) })

	It("becomes one VM with its address, loses its seed when told, and goes without a trace", func(ctx SpecContext) {
		vm := physics.vm(namespace, "whole")
		Eventually(physics.settled(vm)).Should(beReady())
		Expect(vm.Spec.ID).To(Equal(string(vm.UID)))
		Expect(vm.Status.Phase).To(Equal(capstanv1.VMRunning))
		Expect(vm.Status.Host).To(Equal(vm.Spec.Placement.Host))
		Expect(vm.Status.Addresses).To(HaveLen(1))
		Expect(vm.Status.SeedHash).To(HaveLen(64))
		Expect(physics.physical(vm)).To(HaveLen(1))

		physics.update(vm, func() { vm.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return conditions.IsTrue(vm, capstanv1.SeedRetiredCondition), physics.get(vm)()
		}).Should(BeTrue())

		physics.remove(vm)
		Eventually(physics.get(vm)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(physics.physical(vm)).To(BeEmpty())
		Eventually(func() ([]capstanv1.AddressReservation, error) {
			reservations := &capstanv1.AddressReservationList{}
			err := physics.Client.List(ctx, reservations)
			held := reservations.Items[:0]
			for _, r := range reservations.Items {
				if r.Spec.ClaimRef.Namespace == namespace {
					held = append(held, r)
				}
			}
			return held, err
		}).Should(BeEmpty())
	})

	It("is started again when somebody turned it off", func(ctx SpecContext) {
		vm := physics.vm(namespace, "dark")
		Eventually(physics.settled(vm)).Should(beReady())
		_, err := physics.world.Admin().PowerOffVM(ctx, fabricapi.VMRef{GUID: physics.physical(vm)[0].GUID})
		Expect(err).NotTo(HaveOccurred())
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(physics.told(vm, capstanv1.ReasonPoweredOff)).Should(Equal(1))
		Eventually(physics.settled(vm)).Should(beReady())
		Expect(physics.physical(vm)).To(HaveLen(1))
	})

	It("is started with its seed in the drive, though its agent was stopped before that was there", func(ctx SpecContext) {
		vm := physics.vm(namespace, "seedless")
		Eventually(physics.settled(vm)).Should(beReady())
		made := physics.physical(vm)[0]
		Expect(made.ISO).NotTo(BeNil())
		host := physics.world.Host(made.Host)
		_, err := host.EjectISO(ctx, fabricapi.VMRef{GUID: made.GUID})
		Expect(err).NotTo(HaveOccurred())
		_, err = host.DeleteFile(ctx, *made.ISO)
		Expect(err).NotTo(HaveOccurred())
		_, err = physics.world.Admin().PowerOffVM(ctx, fabricapi.VMRef{GUID: made.GUID})
		Expect(err).NotTo(HaveOccurred())

		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(func() []fabricapi.VM { return physics.physical(vm) }).Should(ConsistOf(HaveField("State", fabricapi.Running)))
		Expect(physics.physical(vm)).To(ConsistOf(HaveField("ISO", Equal(made.ISO))))
		Eventually(physics.settled(vm)).Should(beReady())
	})

	It("is never made again once its seed is retired", func(ctx SpecContext) {
		vm := physics.vm(namespace, "lost")
		Eventually(physics.settled(vm)).Should(beReady())
		physics.update(vm, func() { vm.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return conditions.IsTrue(vm, capstanv1.SeedRetiredCondition), physics.get(vm)()
		}).Should(BeTrue())
		_, err := physics.world.Admin().RemoveVM(ctx, fabricapi.VMRef{GUID: physics.physical(vm)[0].GUID})
		Expect(err).NotTo(HaveOccurred())
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonVMNotFound, "not made again"))
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("says that its guest hangs, and leaves it to those who know its node", func(ctx SpecContext) {
		vm := physics.vm(namespace, "hung")
		Eventually(physics.settled(vm)).Should(beReady())
		guid := physics.physical(vm)[0].GUID
		deaf := func(is bool) {
			_, err := physics.world.Admin().SetGuest(ctx, fabricapi.SetGuestRequest{GUID: guid, Deaf: is})
			Expect(err).NotTo(HaveOccurred())
		}
		deaf(true)
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonWaitingForGuest, "heartbeat Lost"))
		Expect(physics.physical(vm)).To(ConsistOf(And(HaveField("GUID", guid), HaveField("State", fabricapi.Running))), "it runs on")
		deaf(false)
		Eventually(physics.settled(vm)).Should(beReady())
	})

	It("says which resource is lacking, how much is asked and what the best host has, and goes on when there is room", func() {
		most := func(vm *capstanv1.VirtualMachine) { vm.Spec.Size.Memory = resource.MustParse("900Gi") }
		first, second := physics.vm(namespace, "first", most), physics.vm(namespace, "second", most)
		Eventually(physics.settled(first)).Should(beReady())
		Eventually(physics.settled(second)).Should(beReady())
		Expect(first.Spec.Placement.Host).NotTo(Equal(second.Spec.Placement.Host))
		third := physics.vm(namespace, "third", most)
		Eventually(physics.settled(third)).Should(wait(capstanv1.ReasonOutOfCapacity, "memory: asked 921600 MiB"))
		Expect(conditions.Get(third, capstanv1.ReadyCondition).Message).To(SatisfyAll(ContainSubstring("the most any of"), ContainSubstring("since")))
		Expect(conditions.Get(third, capstanv1.PlacedCondition).Message).To(ContainSubstring(first.Spec.Placement.Host+": OutOfMemory"), "of each host")
		Expect(third.Spec.Placement).To(BeNil())
		Eventually(physics.told(third, capstanv1.ReasonOutOfCapacity)).Should(Equal(1))
		physics.remove(first)
		Eventually(physics.settled(third)).Should(beReady())
		Expect(third.Annotations).To(HaveKeyWithValue(capstanv1.PlacedBecauseAnnotation, ContainSubstring("would do")))
		Expect(physics.told(third, capstanv1.ReasonOutOfCapacity)()).To(Equal(1))
		physics.remove(second)
		physics.remove(third)
		for _, vm := range []*capstanv1.VirtualMachine{second, third} {
			Eventually(physics.get(vm)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		}
	})

	It("waits for a full network and goes on when it is not full any more", func(ctx SpecContext) {
		physics.addNetwork("small", "2", "10")
		on := func(vm *capstanv1.VirtualMachine) { vm.Spec.Networks[0].LogicalNetwork = "small" }
		first := physics.vm(namespace, "first", on)
		Eventually(physics.settled(first)).Should(beReady())
		second := physics.vm(namespace, "second", on)
		Eventually(physics.settled(second)).Should(wait(capstanv1.ReasonNetworkFull, "small is full"))
		Eventually(physics.told(second, capstanv1.ReasonNetworkFull)).Should(Equal(1))
		physics.remove(first)
		Eventually(physics.settled(second)).Should(beReady())
		Expect(physics.told(second, capstanv1.ReasonNetworkFull)()).To(Equal(1))
		claim := &ipamv1.IPAddressClaim{}
		Expect(physics.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "second-0"}, claim)).To(Succeed())
	})

	It("says that its image can be fetched nowhere, and goes on once it can", func(ctx SpecContext) {
		const late = `\\images.example\capstan\late.vhdx`
		image := physics.addImage("late", late)
		vm := physics.vm(namespace, "late", func(vm *capstanv1.VirtualMachine) { vm.Spec.Image = image.Name })
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonImageNotFound, "staging image late"))
		Eventually(physics.told(vm, capstanv1.ReasonImageNotFound)).Should(Equal(1))
		published := fabricapi.PublishedImage{
			Source: late, SHA256: image.Spec.SHA256, FileBytes: gib, VirtualBytes: image.Spec.Size.Value(), OS: "Linux", KubernetesVersion: "v1.36.3",
		}
		_, err := physics.world.Admin().Publish(ctx, published)
		Expect(err).NotTo(HaveOccurred())
		Eventually(physics.settled(vm)).Should(beReady())
		Eventually(func() ([]string, error) { return image.Status.Staged, physics.get(image)() }).Should(HaveLen(1))
	})
})
