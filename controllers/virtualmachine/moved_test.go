package virtualmachine_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var _ = Describe("A VM that somebody moves by hand between two hosts that stand alone", Serial, func() {
	var namespace string
	var vm *capstanv1.VirtualMachine
	var from, to string
	BeforeEach(func(ctx SpecContext) {
		namespace = physics.Namespace(ctx, GinkgoT())
		vm = physics.vm(namespace, "moved")
		Eventually(physics.settled(vm)).Should(beReady())
		physics.update(vm, func() { vm.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return conditions.IsTrue(vm, capstanv1.SeedRetiredCondition), physics.get(vm)()
		}).Should(BeTrue())
		from, to = vm.Spec.Placement.Host, "hv2"
		if from == to {
			to = "hv1"
		}
	})

	stamp := func() hostapi.Stamp {
		return hostapi.Stamp{Installation: physics.installation, ID: hostapi.VMID(vm.Spec.ID)}
	}
	agentOf := func(ctx context.Context, name string) hostapi.Agent {
		GinkgoHelper()
		host := &capstanv1.HyperVHost{}
		Expect(physics.Client.Get(ctx, client.ObjectKey{Name: name}, host)).To(Succeed())
		agent, err := physics.reach.Agent(ctx, host)
		Expect(err).NotTo(HaveOccurred())
		return agent
	}
	// importAt makes what an import makes: a VM with the identity and the stamp of another.
	importAt := func(ctx context.Context, host string) {
		GinkgoHelper()
		req := hostapi.EnsureVMRequest{
			Stamp: stamp(), Name: vm.Name, Owner: vm.Namespace + "/" + vm.Name, OS: hostapi.Linux, Processors: 2, MemoryMiB: 2048, Power: hostapi.PowerOff,
			Disks: []hostapi.Disk{{Name: "boot", Volume: vm.Spec.Placement.Disks[0].Volume, Bytes: 40 << 30}},
		}
		Eventually(func() (*hostapi.Operation, error) {
			made, err := agentOf(ctx, host).EnsureVM(ctx, req)
			return made.Operation, err
		}).Should(BeNil())
	}
	takeAway := func(ctx context.Context, host string) {
		GinkgoHelper()
		for _, v := range physics.physical(vm) {
			if v.Host == host {
				_, err := physics.world.Admin().RemoveVM(ctx, fabricapi.VMRef{GUID: v.GUID})
				Expect(err).NotTo(HaveOccurred())
			}
		}
	}
	claim := func(ctx context.Context) *ipamv1.IPAddressClaim {
		GinkgoHelper()
		c := &ipamv1.IPAddressClaim{}
		Expect(physics.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "moved-0"}, c)).To(Succeed())
		return c
	}
	beMoved := func() OmegaMatcher {
		return wait(capstanv1.ReasonMovedElsewhere, "host "+to+" has it")
	}

	It("is told of, neither made again nor deleted, and keeps its address until a person has decided", func(ctx SpecContext) {
		importAt(ctx, to)
		takeAway(ctx, from)
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(physics.settled(vm)).Should(beMoved())
		Expect(vm.Status.Phase).To(Equal(capstanv1.VMRunning), "nobody has seen it stop")
		Eventually(physics.told(vm, capstanv1.ReasonMovedElsewhere)).Should(Equal(1))

		physics.remove(vm)
		Eventually(func() (bool, error) { return vm.Status.Phase == capstanv1.VMDeleting, physics.get(vm)() }).Should(BeTrue())
		Eventually(physics.settled(vm)).Should(beMoved())
		Expect(physics.physical(vm)).To(ConsistOf(HaveField("Host", to)), "it is not deleted where it does not belong")
		Expect(claim(ctx).DeletionTimestamp).To(BeNil(), "it may still use its address")

		By("letting everything go once the person has removed it there")
		Eventually(func() error {
			return agentOf(ctx, to).DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: stamp()})
		}).Should(WithTransform(hostapi.ClassOf, Equal(hostapi.NotFound)))
		Eventually(physics.get(vm)).WithTimeout(2 * time.Minute).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(physics.physical(vm)).To(BeEmpty())
	})

	It("is not believed to be gone while a host to which it may have been moved is silent", func(ctx SpecContext) {
		host := &capstanv1.HyperVHost{}
		host.Name = to
		physics.agents[to].Stop()
		DeferCleanup(func() {
			physics.agents[to].Restart(nil)
			Eventually(physics.settled(host)).Should(beReady())
		})
		Eventually(physics.settled(host)).Should(wait(capstanv1.ReasonHostUnreachable, ""))
		takeAway(ctx, from)
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonHostUnreachable, "host "+to+" does not answer; waiting for its word, or for spec.lost: true on HyperVHost "+to))

		physics.update(host, func() { host.Spec.Lost = true })
		DeferCleanup(func() { physics.update(host, func() { host.Spec.Lost = false }) })
		Eventually(physics.settled(vm)).WithTimeout(2 * time.Minute).Should(wait(capstanv1.ReasonVMNotFound, "not made again"))
	})
})
